"""Files and folders that are either the old ones or the new ones, also after a kill or a power cut."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, NoReturn

__all__ = [
    "SET_ASIDE",
    "digest_of",
    "discard",
    "locked",
    "replace_folder",
    "rewritten",
    "sha256_of",
    "sync_tree",
    "write_bytes",
    "write_json",
    "write_lines",
    "write_text",
]

_NUM_HASHERS = 4  # hashing leaves the interpreter lock

SET_ASIDE = ".replaced-"  # begins the name of an old folder while a new one takes its place


def write_bytes(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file in one step, see `write_lines`."""
    write_lines(path, [content], sync=sync)


def write_lines(path: Path, lines: Iterable[bytes], *, sync: bool = True) -> None:
    """Write a file in one step: a reader sees the old content or the new one, never a part.

    The content goes to a hidden file in the same folder, is forced to the disk and renamed.

    Args:
        path: The file.
        lines: Its content, piece by piece; an error that they raise leaves the old file as it was.
        sync: False does not wait for the disk: for what can be made again, and shows itself if it is damaged.

    Raises:
        OSError: The folder is missing, read-only or full; the old file is still there and nothing is left over.
    """
    with rewritten(path, sync=sync) as file:
        file.writelines(lines)


@contextmanager
def rewritten(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Give a file to write into that takes the place of `path` in one step when the block ends, see `write_lines`.

    Args:
        path: The file; an error inside the block leaves the old one as it was.
        sync: False does not wait for the disk.

    Raises:
        OSError: As `write_lines`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    r"""Write text as UTF-8 in one step; a lone surrogate becomes its escape, `\udc80`."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON in one step, non-ASCII kept.

    Raises:
        TypeError: A part of the value is not JSON.
        ValueError: A number is NaN or infinite.
    """
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(folder: Path, *, without: Collection[str] = ()) -> str:
    """Return the SHA-256 over names and digests of the files of a folder, hidden ones and folders in it left out.

    Args:
        folder: Where they lie.
        without: Patterns of names that do not count either, such as `*.md`.

    Raises:
        OSError: A file cannot be read.
    """
    patterns = (".*", *without)
    named = (path for path in folder.iterdir() if not any(fnmatchcase(path.name, one) for one in patterns))
    files = sorted(path for path in named if path.is_file())
    with ThreadPoolExecutor(_NUM_HASHERS) as pool:
        lines = [f"{digest}  {path.name}\n" for path, digest in zip(files, pool.map(sha256_of, files), strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sync_tree(folder: Path) -> None:
    """Force every file and folder below `folder`, and itself, to the disk."""
    for parent, _, names in os.walk(folder, topdown=False, onerror=_raise):
        for name in names:
            _sync_file(Path(parent, name))
        _sync_folder(Path(parent))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time pass: the others wait until it leaves, or dies.

    Args:
        path: What is being made; the lock is the file `.<name>.lock` beside it, which stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_folder(staging: Path, final: Path) -> None:
    """Make the folder `staging` appear as `final`, in the place of an older one if there is one.

    Without an older one this is a single rename. With one, the old folder is first renamed to
    `.replaced-<name>` and removed at the end: a kill at any moment leaves a whole folder under one of the two names.

    Raises:
        OSError: The two are on different file systems, or a rename is refused; the older folder is back in place.
    """
    aside = final.with_name(f"{SET_ASIDE}{final.name}")
    if final.exists():
        discard(aside)
        final.rename(aside)
    try:
        staging.rename(final)
    except OSError:
        if aside.exists():
            aside.rename(final)
        raise
    _sync_folder(final.parent)
    discard(aside)


def discard(path: Path) -> None:
    """Remove a file, a link (not what it points to) or a folder with all it holds; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _raise(error: OSError) -> NoReturn:
    raise error


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
