"""The one way a picture is opened: upright, RGB, whole, or an error that names the file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from qvl.errors import RecordError

__all__ = ["FORMATS", "MAX_PIXELS", "image_size", "open_image"]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MAX_PIXELS = 80_000_000  # 240 MB as RGB; every worker holds one

_ORIENTATION_TAG = 0x0112
_TRANSPOSE = {  # EXIF orientation -> what makes the picture upright; 1 and values that do not exist need nothing
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_FAULTS = (  # what Pillow raises on damaged files
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def open_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open a picture as it is meant to be seen.

    EXIF orientation is applied and then forgotten, transparent parts lie on white, and of several frames the first is
    taken.

    Args:
        path: A JPEG, PNG, WEBP or BMP file.
        max_pixels: Most pixels that are decoded.

    Returns:
        A picture of mode RGB without metadata.

    Raises:
        RecordError: The file is missing, of another format, damaged, cut off, has more than 8 bits per channel or more
            than `max_pixels` pixels.
    """
    # Some libraries switch this on for the whole process; then the missing part of a cut-off file is grey, unnoticed.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with _opened(Path(path), max_pixels) as image:
        orientation = _orientation(image, Path(path))
        image.load()
        rgb = _to_rgb(image)
        upright = rgb.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else rgb
        upright.info = {}
        return upright


def image_size(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (width, height) in pixels of the picture that `open_image` gives, from the header only.

    Raises:
        RecordError: The file is missing, of another format, has a damaged header or more than `max_pixels` pixels.
    """
    with _opened(Path(path), max_pixels) as image:
        width, height = image.size
        return (height, width) if _orientation(image, Path(path)) in _SIDEWAYS else (width, height)


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    try:
        if not path.exists():
            raise RecordError(f"{path}: there is no such picture")
        if not path.is_file():
            raise RecordError(f"{path}: not a file")
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise RecordError(
                    f"{path}: {image.width} x {image.height} pixels are more than the allowed {max_pixels}"
                )
            yield image
    except UnidentifiedImageError as error:
        raise RecordError(f"{path}: not a picture of the formats {', '.join(FORMATS)}") from error
    except _FAULTS as error:
        raise RecordError(f"{path}: cannot be read as a picture: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"mode {image.mode} has more than 8 bits per channel; convert the file to 8 bits")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _orientation(image: Image.Image, path: Path) -> int:
    if image.format == "PNG" and "exif" not in image.info and not _has_exif_chunk(path):
        exif = Image.Image.getexif(image)  # the method of PNG decodes all pixels to look behind them
    else:
        exif = image.getexif()
    orientation = exif.get(_ORIENTATION_TAG)
    return orientation if isinstance(orientation, int) else 1


def _has_exif_chunk(path: Path) -> bool:
    """Whether a PNG file holds EXIF data anywhere; reads the 8 bytes that head each chunk."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"eXIf":
                return True
            file.seek(length + 4, 1)
    return False
