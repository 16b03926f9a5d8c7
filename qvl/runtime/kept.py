"""What was computed from data and is kept between runs: whole or not there, and never more than so much of it."""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qvl.runtime.files import write_lines

__all__ = ["forget_oldest", "one_at_a_time", "read_kept", "write_kept"]

_log = logging.getLogger(__name__)
_HEAD = struct.Struct("<8sIQ")  # format, CRC-32 of the content, bytes of the content
_FORMAT = b"qvlkept1"


def read_kept(path: Path) -> bytes | None:
    """Return what `write_kept` kept; None, with a warning, if it is damaged: it is computed again then.

    Args:
        path: The file; reading it makes it the one that was used last, see `forget_oldest`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s: cannot be read: %s; it is computed again", path, error.strerror)
        return None
    head, body = content[: _HEAD.size], content[_HEAD.size :]
    if len(head) < _HEAD.size or _HEAD.unpack(head) != (_FORMAT, zlib.crc32(body), len(body)):
        _log.warning("%s: is damaged; it is computed again", path)
        return None
    with suppress(OSError):  # someone else's file: it only counts as older than it is
        os.utime(path)
    return body


def write_kept(path: Path, content: bytes) -> None:
    """Keep something in one step; where that cannot be done, it is told in the log and done without.

    Args:
        path: The file; its folder is made if it is missing.
        content: Anything.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_lines(path, [_HEAD.pack(_FORMAT, zlib.crc32(content), len(content)), content], sync=False)
    except OSError as error:
        _log.warning("%s: cannot be kept for the next run: %s", path, error.strerror)


def forget_oldest(folder: Path, *, most: int) -> None:
    """Remove the files of a folder that were not used for the longest time, hidden ones aside.

    Args:
        folder: The folder.
        most: Files that may stay.
    """
    with suppress(OSError):  # another run may remove them at the same time
        files = [path for path in folder.iterdir() if not path.name.startswith(".")]
        for path in sorted(files, key=lambda path: path.stat().st_mtime)[: max(len(files) - most, 0)]:
            path.unlink(missing_ok=True)


@contextmanager
def one_at_a_time(path: Path, *, doing: str) -> Iterator[None]:
    """Let one process at a time do what the others then find done; they wait until it leaves, or dies.

    Args:
        path: What is being made; the lock is the file `.<name>.lock` beside it, which stays.
        doing: What is done, for the line that says what is waited for.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("w")
    except OSError:  # a cache that is read only: everyone works alone
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("waiting for another run that is %s", doing)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # a disk without locks
            pass
        yield
