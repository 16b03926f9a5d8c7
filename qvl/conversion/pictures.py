"""Where the pictures of a converted data set lie: linked, copied or made smaller beside the rows, or left in place."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image

from qvl.errors import RecordError
from qvl.geometry import model_size
from qvl.runtime import open_pixels

__all__ = ["PICTURES", "PictureStore", "Placed"]

PICTURES = "images"
"""Folder of the pictures, beside the rows."""

Mode = Literal["link", "copy", "reference"]

_MODES = ("link", "copy", "reference")
_JPEG_START = b"\xff\xd8\xff"
_JPEG_QUALITY = 95
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP)  # then it is copied


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture of the new data set.

    Attributes:
        image: Its path for the row: relative to the folder of the rows, or absolute.
        width: Of the picture seen upright, in pixels.
        height: Of the picture seen upright, in pixels.
    """

    image: str
    width: int
    height: int


class PictureStore:
    """Puts pictures below `images/` of a new data set. Its methods may be called from several threads.

    Attributes:
        folder: Folder of the rows.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mode: Mode = "link",
        max_pixels: int | None = None,
        min_pixels: int = 1,
        side_factor: int = 32,
    ) -> None:
        """Say what is to become of the pictures; nothing is written yet.

        Args:
            folder: Folder of the rows.
            mode: `link` makes hard links, or copies where the file system has none between two places; `copy` copies;
                `reference` leaves the pictures where they are. A picture that is resized is always a new file.
            max_pixels: Greatest area of a picture; None leaves all sizes as they are.
            min_pixels: Least area of a picture, if sizes are changed.
            side_factor: Both sides become multiples of it, if sizes are changed.

        Raises:
            ValueError: The mode is not known, or the limits leave no size.
        """
        if mode not in _MODES:
            raise ValueError(f"pictures must be {', '.join(_MODES)}, got {mode!r}")
        if max_pixels is not None and (side_factor < 1 or max_pixels < max(min_pixels, side_factor**2)):
            raise ValueError(
                f"resize.max_pixels must be at least min_pixels and one square of side_factor >= 1, "
                f"got {max_pixels}, {min_pixels} and {side_factor}"
            )
        self.folder = folder
        self._mode = mode
        self._max_pixels = max_pixels
        self._min_pixels = min_pixels
        self._side_factor = side_factor
        self._lock = threading.Lock()
        self._owners: dict[bytes, bytes] = {}  # digests of names, and of the files they stand for: 1 M fit in memory
        self._parents: set[Path] = set()

    @property
    def roots(self) -> list[Path]:
        """The folders of pictures left in place, none below another: what `data.allowed_roots` has to hold."""
        with self._lock:
            parents = set(self._parents)
        return sorted(parent for parent in parents if not parents & set(parent.parents))

    def target_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size (width, height) that a picture of `size` will have, in pixels.

        Raises:
            RecordError: The picture is too long and narrow to be resized.
        """
        if self._max_pixels is None:
            return size
        try:
            return model_size(*size, factor=self._side_factor, min_pixels=self._min_pixels, max_pixels=self._max_pixels)
        except ValueError as error:
            raise RecordError(f"the picture cannot be resized: {error}") from error

    def claim(self, path: Path, name: str) -> str:
        """Return the name below `images/` that a picture has or is given.

        The first picture that asks for a name has it, others get a number: `a.jpg`, `a_2.jpg`. Names that differ in
        case only are the same, as on some file systems; with resizing, so are those that differ in the ending only.
        Called in a fixed order ahead of `place`, it gives the same names every time.

        Args:
            path: The picture.
            name: The name that it should have; folders in it stay, `..` and a leading `/` do not.
        """
        plain = PurePosixPath(*(part for part in PurePosixPath(name).parts if part not in ("/", "//", "..")))
        owner, number = _digest(os.path.abspath(path)), 1
        while True:
            numbered = plain if number == 1 else plain.with_name(f"{plain.stem}_{number}{plain.suffix}")
            asked = numbered if self._max_pixels is None else numbered.with_suffix("")
            with self._lock:
                if (
                    self._owners.setdefault(_digest(unicodedata.normalize("NFC", str(asked)).casefold()), owner)
                    == owner
                ):
                    return str(numbered)
            number += 1

    def place(self, path: Path, name: str, size: tuple[int, int]) -> Placed:
        """Put a picture into the data set; to do so again with the same path and name changes nothing.

        Args:
            path: The picture.
            name: The name that it should have, see `claim`.
            size: (width, height) of the picture seen upright, in pixels.

        Returns:
            Where it is and how large. A picture that is resized is upright, and of the size `target_size`.

        Raises:
            RecordError: The picture is to be resized, and cannot be read or is too long and narrow.
            OSError: The file cannot be written.
        """
        width, height = self.target_size(size)
        if (width, height) != size:
            name = self._resize(path, self.claim(path, name), (width, height))
        elif self._mode == "reference":
            with self._lock:
                self._parents.add(path.resolve().parent)
            return Placed(os.path.abspath(path), width, height)
        else:
            name = self.claim(path, name)
            _put(path.resolve(), self._target(name), is_link=self._mode == "link")
        return Placed(f"{PICTURES}/{name}", width, height)

    def _resize(self, path: Path, name: str, size: tuple[int, int]) -> str:
        with path.open("rb") as file:
            is_jpeg = file.read(len(_JPEG_START)) == _JPEG_START
        endings = (".jpg", ".jpeg") if is_jpeg else (".png",)
        plain = PurePosixPath(name)
        name = name if plain.suffix.lower() in endings else str(plain.with_suffix(endings[0]))
        target = self._target(name)
        if target.exists():
            return name
        resized = Image.fromarray(open_pixels(path)).resize(size, Image.Resampling.BICUBIC)
        content = io.BytesIO()
        if is_jpeg:
            resized.save(content, format="JPEG", quality=_JPEG_QUALITY)
        else:
            resized.save(content, format="PNG")
        target.write_bytes(content.getvalue())
        return name

    def _target(self, name: str) -> Path:
        target = self.folder / PICTURES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def _put(path: Path, target: Path, *, is_link: bool) -> None:
    """Link or copy a file; that the target is there already is fine, for its name belongs to this picture."""
    try:
        if is_link:
            os.link(path, target)
            return
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    if not target.exists():
        shutil.copyfile(path, target)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=12).digest()
