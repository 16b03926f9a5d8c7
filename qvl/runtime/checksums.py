"""A list of checksums beside the data, in the format of `sha256sum`, and what no longer agrees with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from qvl.errors import RecordError
from qvl.runtime.files import sha256_of, write_text

__all__ = ["CHECKSUMS_NAME", "ChecksumFault", "verify_checksums", "write_checksums"]

CHECKSUMS_NAME = "SHA256SUMS"

_LINE = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-fA-F]{64}) [ *](?P<name>.+)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_NUM_THREADS = 4  # hashing leaves Python's lock


@dataclass(frozen=True, slots=True)
class ChecksumFault:
    """A file that is not what the list says.

    Attributes:
        code: `checksum_mismatch` or `file_unreadable`.
        line: Line of the list, the first is 1.
        name: Path of the file as the list has it.
        message: What came and what was expected.
    """

    code: str
    line: int
    name: str
    message: str


def write_checksums(manifest: Path, files: Iterable[Path]) -> None:
    """Write the digests of files; `sha256sum -c` reads them too.

    Args:
        manifest: The list to write, in one step.
        files: Files below the folder of the list.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file lies elsewhere.
    """
    lines = [_line(sha256_of(file), file.relative_to(manifest.parent).as_posix()) for file in sorted(files)]
    write_text(manifest, "".join(lines))


def verify_checksums(manifest: Path) -> list[ChecksumFault]:
    """Read every file that a list names and compare its digest; finds a single changed bit.

    Args:
        manifest: Lines `<64 hexadecimal digits>  <path>` as `sha256sum` writes them; paths start at its folder.

    Returns:
        The faults in the order of the list.

    Raises:
        RecordError: The list cannot be read or has a line of another form.
    """
    try:
        lines = manifest.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{manifest}: cannot be read: {error}") from error
    entries = [_entry(manifest, number, line.rstrip("\r")) for number, line in enumerate(lines, 1) if line.strip()]
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        faults = pool.map(lambda entry: _compare(manifest.parent, *entry), entries)
        return [fault for fault in faults if fault is not None]


def _line(digest: str, name: str) -> str:
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in name)
    mark = "\\" if escaped != name else ""
    return f"{mark}{digest}  {escaped}\n"


def _entry(manifest: Path, number: int, line: str) -> tuple[int, str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise RecordError(f"{manifest}:{number}: expected a SHA-256 digest, two spaces and a path, got {line[:80]!r}")
    name = match["name"]
    if match["escaped"]:
        plain = {value: key for key, value in _ESCAPES.items()}
        name = re.sub(r"\\[\\nr]", lambda found: plain[found[0]], name)
    return number, match["digest"].lower(), name


def _compare(folder: Path, line: int, expected: str, name: str) -> ChecksumFault | None:
    try:
        digest = sha256_of(folder / name)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        return ChecksumFault("file_unreadable", line, name, f"cannot be read: {reason}")
    if digest != expected:
        message = f"expected SHA-256 {expected[:12]}..., got {digest[:12]}...: the file was changed or damaged"
        return ChecksumFault("checksum_mismatch", line, name, message)
    return None
