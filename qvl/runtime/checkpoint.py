"""Checkpoint folders that are whole or not there: seal, publish, verify, find, rotate."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from qvl.errors import CheckpointError
from qvl.runtime.files import SET_ASIDE, discard, replace_folder, sha256_of, sync_tree, write_text

__all__ = [
    "FORMAT",
    "MANIFEST_NAME",
    "CheckpointManifest",
    "SealedFile",
    "checkpoint_folder",
    "discard_staging",
    "list_checkpoints",
    "newest_good",
    "publish",
    "resolve_resume",
    "rotate",
    "seal",
    "staging_folder",
    "step_of",
    "verify",
]

FORMAT = 1
MANIFEST_NAME = "qvl_manifest.json"

_NAME = re.compile(r"checkpoint-(0|[1-9][0-9]*)")
_STAGING = ".staging-"
_NUM_HASHERS = 4  # hashing leaves the interpreter lock

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file as it was when its checkpoint was sealed.

    Attributes:
        path: Relative to the checkpoint, with forward slashes.
        bytes: Size.
        sha256: Digest of the content.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CheckpointManifest:
    """What a sealed checkpoint holds.

    Attributes:
        step: Optimizer steps done.
        files: All files but the manifest, ordered by path.
    """

    step: int
    files: tuple[SealedFile, ...]


def checkpoint_folder(run_folder: Path, step: int) -> Path:
    """Return the folder of the checkpoint after `step` optimizer steps."""
    return run_folder / f"checkpoint-{step}"


def staging_folder(run_folder: Path, step: int) -> Path:
    """Return the folder in which that checkpoint is written until it is published."""
    return run_folder / f"{_STAGING}checkpoint-{step}"


def step_of(folder: Path) -> int | None:
    """Return the step in the name of a checkpoint folder, None for any other name."""
    match = _NAME.fullmatch(folder.name)
    return int(match[1]) if match else None


def seal(folder: Path, *, step: int) -> CheckpointManifest:
    """Force all files of a folder to the disk and write their sizes and digests beside them, as the last file.

    Raises:
        CheckpointError: The folder is missing or empty, or holds a link.
    """
    files = _files_below(folder)
    if not files:
        raise CheckpointError(f"{folder}: there is nothing to seal")
    sync_tree(folder)
    with ThreadPoolExecutor(_NUM_HASHERS) as pool:
        digests = pool.map(sha256_of, files.values())
        sealed = [
            SealedFile(name, path.stat().st_size, digest)
            for (name, path), digest in zip(files.items(), digests, strict=True)
        ]
    manifest = CheckpointManifest(step, tuple(sealed))
    write_text(folder / MANIFEST_NAME, _render(manifest))
    return manifest


def publish(staging: Path, final: Path) -> CheckpointManifest:
    """Seal a staged checkpoint and let it appear under its final name, in the place of an older one of that step.

    Call it on one rank, after every rank has written its files.

    Raises:
        ValueError: `final` is not named `checkpoint-<step>`.
        CheckpointError: As of `seal`.
        OSError: The two are on different file systems, or the disk is full; an older checkpoint is still there.
    """
    step = step_of(final)
    if step is None:
        raise ValueError(f"a checkpoint is named checkpoint-<step>, got {final.name!r}")
    manifest = seal(staging, step=step)
    replace_folder(staging, final)
    return manifest


def verify(folder: Path) -> CheckpointManifest:
    """Compare a checkpoint with its manifest, byte by byte.

    Raises:
        CheckpointError: Lists every file that is missing, truncated, damaged or not in the manifest.
    """
    files = _files_below(folder)
    manifest = _read_manifest(folder)
    expected = {file.path: file for file in manifest.files}
    with ThreadPoolExecutor(_NUM_HASHERS) as pool:
        present = [file for file in manifest.files if file.path in files]
        compared = pool.map(lambda file: _fault(files[file.path], file), present)
        faults = {file.path: fault for file, fault in zip(present, compared, strict=True) if fault}
    faults |= {path: "missing" for path in expected.keys() - files.keys()}
    faults |= {path: "not in the manifest" for path in files.keys() - expected.keys()}
    if faults:
        lines = "".join(f"\n  {path}: {fault}" for path, fault in sorted(faults.items()))
        raise CheckpointError(f"{folder}: this checkpoint is damaged:{lines}")
    return manifest


def list_checkpoints(run_folder: Path) -> list[Path]:
    """Return the folders named `checkpoint-<step>`, lowest step first, whatever they hold and however old they are."""
    return [path for _, path in sorted(_steps_in(run_folder).items())]


def newest_good(run_folder: Path) -> Path | None:
    """Return the checkpoint of the highest step that passes `verify`; each damaged one above it is logged.

    A checkpoint that was set aside when a kill interrupted its replacement counts as well.
    """
    steps = _steps_in(run_folder, prefix=SET_ASIDE) | _steps_in(run_folder)
    for _, path in sorted(steps.items(), reverse=True):
        try:
            verify(path)
        except CheckpointError as error:
            _log.warning("skipped: %s", error)
        else:
            return path
    return None


def resolve_resume(value: str | Path | None, run_folder: Path) -> Path | None:
    """Turn what the user set into the checkpoint to resume from.

    Args:
        value: None for a fresh start, "latest" for the newest good checkpoint of the run, or the folder of one.
        run_folder: Where "latest" looks.

    Raises:
        CheckpointError: There is none, or the one that is named is damaged; the text says what is wrong with it and
            which good checkpoint is the newest beside it.
    """
    if value is None:
        return None
    if value == "latest":
        found = newest_good(run_folder)
        if found is None:
            damaged = ", ".join(path.name for path in list_checkpoints(run_folder))
            raise CheckpointError(
                f"{run_folder}: no checkpoint to resume from; "
                + (f"damaged: {damaged}" if damaged else "it holds none")
            )
        return found
    path = Path(value)
    try:
        verify(path)
    except CheckpointError as error:
        beside = newest_good(path) or newest_good(path.parent)
        advice = f"the newest good checkpoint beside it is {beside}" if beside else "there is no good one beside it"
        raise CheckpointError(f"{error}\n{advice}") from error
    return path


def discard_staging(run_folder: Path) -> list[Path]:
    """Clear away what a killed save, replacement or rotation left; only the owner of the run folder may do so.

    A checkpoint that was set aside and not yet replaced gets its name back.

    Returns:
        The paths that are gone.
    """
    gone = sorted(run_folder.glob(f"{_STAGING}*"))
    for path in gone:
        discard(path)
    for step, aside in _steps_in(run_folder, prefix=SET_ASIDE).items():
        final = checkpoint_folder(run_folder, step)
        if final.exists():
            discard(aside)
        else:
            aside.rename(final)
        gone.append(aside)
    return gone


def rotate(run_folder: Path, *, keep: int, protected: Collection[Path]) -> list[Path]:
    """Remove all but the `keep` checkpoints of the highest steps.

    A folder whose files do not match their manifest in name and size neither counts nor is removed: nothing is deleted
    that was not sealed here, and a damaged checkpoint never pushes out a good one.

    Args:
        run_folder: Folder of the checkpoints.
        keep: How many to keep, at least 1.
        protected: Checkpoints that stay in any case: the best one, the one just published, the one resumed from.

    Returns:
        The folders that were removed, lowest step first.

    Raises:
        ValueError: `keep` is below 1.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, got {keep}")
    whole = [path for path in list_checkpoints(run_folder) if _looks_whole(path)]
    safe = {path.resolve() for path in protected}
    removed = [path for path in whole[:-keep] if path.resolve() not in safe]
    for path in removed:
        condemned = path.with_name(f"{_STAGING}removed-{path.name}")  # a kill must not leave half a checkpoint
        discard(condemned)
        path.rename(condemned)
        discard(condemned)
    return removed


def _steps_in(run_folder: Path, prefix: str = "") -> dict[int, Path]:
    found = {}
    for path in run_folder.glob(f"{prefix}checkpoint-*"):
        match = _NAME.fullmatch(path.name.removeprefix(prefix))
        if match and path.is_dir() and not path.is_symlink():
            found[int(match[1])] = path
    return found


def _files_below(folder: Path) -> dict[str, Path]:
    """Return all files but the manifest by their relative path, in order of it."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no such folder")
    try:
        found = {path.relative_to(folder).as_posix(): path for path in _walk(folder)}
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot list its files: {error}") from error
    return {name: found[name] for name in sorted(found) if name != MANIFEST_NAME}


def _walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
        else:
            raise CheckpointError(f"{entry.path}: a checkpoint holds plain files only, this is a link or a device")


def _fault(path: Path, expected: SealedFile) -> str | None:
    try:
        size = path.stat().st_size
        if size < expected.bytes:
            return f"truncated, {size} of {expected.bytes} bytes"
        if size > expected.bytes:
            return f"{size} bytes instead of {expected.bytes}"
        return None if sha256_of(path) == expected.sha256 else "damaged, its content is not what was saved"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _looks_whole(folder: Path) -> bool:
    try:
        sizes = {name: path.stat().st_size for name, path in _files_below(folder).items()}
        manifest = _read_manifest(folder)
    except CheckpointError:
        return False
    return sizes == {file.path: file.bytes for file in manifest.files}


def _render(manifest: CheckpointManifest) -> str:
    """Write a manifest as text that holds its own digest: a change of any of its bytes shows."""
    body = {"format": FORMAT, **asdict(manifest)}
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    return json.dumps({**body, "sha256": digest}, indent=1) + "\n"


def _read_manifest(folder: Path) -> CheckpointManifest:
    path = folder / MANIFEST_NAME
    try:
        text = path.read_bytes().decode()
        manifest = _parse(json.loads(text))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder}: this checkpoint is damaged:\n  {MANIFEST_NAME}: missing; the save was not finished, or qvl did "
            "not write this folder"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{folder}: this checkpoint is damaged:\n  {MANIFEST_NAME}: unreadable: {error}"
        ) from error
    if text != _render(manifest):
        raise CheckpointError(f"{folder}: this checkpoint is damaged:\n  {MANIFEST_NAME}: its digest does not fit")
    if step_of(folder) not in (None, manifest.step):
        raise CheckpointError(f"{folder}: this checkpoint is of step {manifest.step}, was it renamed?")
    return manifest


def _parse(body: object) -> CheckpointManifest:
    match body:
        case {"format": int(number)} if number != FORMAT:
            raise ValueError(f"format {number}, this version of qvl reads format {FORMAT}")
        case {"step": int(step), "files": [*files]}:
            return CheckpointManifest(step, tuple(_parse_file(file) for file in files))
        case _:
            raise ValueError("expected format, step and files")


def _parse_file(entry: object) -> SealedFile:
    match entry:
        case {"path": str(path), "bytes": int(size), "sha256": str(digest)}:
            return SealedFile(path, size, digest)
        case _:
            raise ValueError(f"expected path, bytes and sha256 of a file, got {entry!r}")
