"""Archives of annotations and pictures, unpacked with nothing written beside their folder."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from qvl.conversion.annotated import Refused
from qvl.errors import RecordError

__all__ = ["MAX_BYTES", "MAX_MEMBERS", "is_archive", "unpack"]

MAX_BYTES = 1 << 40
MAX_MEMBERS = 10_000_000

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
_MAX_RATIO = (
    100  # of the archive's own size; JSON shrinks to a tenth, an archive that is made to do harm a thousandfold
)
_FREE_BYTES = 1 << 30  # that small archives may hold, whatever the ratio
_PIECE = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
_DAMAGE = (  # what the libraries raise on a member that cannot be read
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


def is_archive(path: str | Path) -> bool:
    """Tell by its name whether a file is an archive that `unpack` knows: zip, or tar with gz, xz, bz2 or nothing."""
    return Path(path).is_file() and str(path).lower().endswith(_ZIP + _TAR)


def unpack(path: Path, folder: Path, *, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS) -> list[Refused]:
    """Unpack the plain files of an archive into a folder.

    Links, devices, encrypted and damaged members, those with an absolute path or `..`, and those whose name is taken
    are left out and returned. Reading ends at the first member that leads beyond a limit: it may hold little data
    that becomes a lot.

    Args:
        path: The archive.
        folder: Where the files go; a new folder, or an empty one.
        max_bytes: Most bytes that all files may have together; at most 100 times the archive, or 1 GiB if that is more.
        max_members: Most members.

    Returns:
        Everything that was not unpacked, with the code `archive_member`.

    Raises:
        RecordError: The file is no archive, or its table of contents cannot be read.
        OSError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    allowed = min(max_bytes, max(_FREE_BYTES, _MAX_RATIO * path.stat().st_size))
    room = _Room(path.name, folder, allowed, max_members)
    members = _zip_members(path) if path.name.lower().endswith(_ZIP) else _tar_members(path)
    try:
        for member in members:
            if not room.take(member):
                break
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if not room.num_members:
            raise RecordError(f"{path}: cannot be read as an archive: {error}") from error
        room.refuse("", f"the archive is damaged; what comes after {room.num_members} members was not read: {error}")
    finally:
        members.close()
    return room.refused


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an archive.

    Attributes:
        name: With `/` between folders.
        size: Bytes that it says it has; the libraries give no more.
        file: What it holds; None for a folder, and where there is a fault.
        fault: Why it cannot be unpacked, "" if it can.
    """

    name: str
    size: int
    file: IO[bytes] | None = None
    fault: str = ""


@dataclass(slots=True)
class _Room:
    """What may still be unpacked, and what was left out."""

    archive: str
    folder: Path
    bytes_left: int
    max_members: int
    num_members: int = 0
    refused: list[Refused] = field(default_factory=list)

    def refuse(self, name: str, message: str) -> None:
        where = f"{self.archive}: {name}" if name else self.archive
        self.refused.append(Refused(where, "archive_member", message, name or None))

    def take(self, member: _Member) -> bool:
        """Unpack a member or refuse it; return False if nothing may come after it."""
        self.num_members += 1
        if self.num_members > self.max_members:
            self.refuse(member.name, f"this member and all after it: more than the allowed {self.max_members} members")
            return False
        if member.size > self.bytes_left:
            self.refuse(
                member.name,
                f"this member and all after it: it has {member.size} bytes unpacked, {self.bytes_left} are allowed",
            )
            return False
        self.bytes_left -= member.size  # also if it is refused: what is packed in one piece has to be read over
        if fault := member.fault or _name_fault(member.name, is_folder=member.file is None):
            self.refuse(member.name, fault)
        elif member.file is not None:
            self._write(member.name, member.file)
        return True

    def _write(self, name: str, source: IO[bytes]) -> None:
        """Write a file; of one that is damaged nothing is left."""
        target = self.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(source, file, _PIECE)
        except (FileExistsError, NotADirectoryError):
            self.refuse(name, "a member with this name came before")
        except (*_DAMAGE, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk; gzip and bz2 raise it without a number
            target.unlink()
            self.refuse(name, f"damaged: {error}")


def _name_fault(name: str, *, is_folder: bool) -> str:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or _DRIVE.match(name):
        return "its path is absolute"
    if ".." in parts:
        return "its path leads out of the folder by .."
    if "\0" in name or not (parts or is_folder):
        return "it has no name, or one that no file can have"
    if any(len(part.encode(errors="surrogateescape")) > 255 for part in parts) or len(name) > 3000:
        return "its name is too long"
    return ""


def _zip_members(path: Path) -> Generator[_Member, None, None]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _zip_name(info)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or name.endswith("/"):
                yield _Member(name, 0)
            elif kind not in (0, stat.S_IFREG):
                yield _Member(name, 0, fault="a link or a special file")
            elif info.flag_bits & _ENCRYPTED_FLAG:
                yield _Member(name, 0, fault="encrypted")
            else:
                yield from _opened(archive, info, name)


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Generator[_Member, None, None]:
    try:
        file = archive.open(info)
    except _DAMAGE as error:
        yield _Member(name, 0, fault=f"damaged, or packed in a way that is not known: {error}")
        return
    with file:
        yield _Member(name, info.file_size, file)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name that was meant: some programs write UTF-8 or GBK without saying so, and backslashes."""
    name = info.filename
    if not info.flag_bits & _UTF8_FLAG:
        with suppress(UnicodeEncodeError):
            raw = name.encode("cp437")
            name = next((text for text in (_decoded(raw, "utf-8"), _decoded(raw, "gbk")) if text), name)
    return name.replace("\\", "/")


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _tar_members(path: Path) -> Generator[_Member, None, None]:
    with tarfile.open(path, mode="r:*") as archive:
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep every header, 1 GB of a million
            if info.isdir():
                yield _Member(info.name, 0)
            elif not info.isreg():
                yield _Member(info.name, info.size, fault="a link or a special file")
            elif (file := archive.extractfile(info)) is not None:
                with file:
                    yield _Member(info.name, info.size, file)
