"""The one way a picture is opened: upright, RGB, 8 bits, whole, or an error that names the file."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFile, UnidentifiedImageError

from qvl.errors import RecordError
from qvl.runtime.jpeg import coded_ends, with_padding

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "ImageHeader",
    "check_image",
    "image_header",
    "image_size",
    "leads_outside",
    "open_image",
    "open_pixels",
    "open_preview",
]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
Pixels = npt.NDArray[np.uint8]

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
_REVERSED = {
    2: (1, -1),
    3: (-1, -1),
    4: (-1, 1),
    6: (1, -1),
    7: (-1, -1),
    8: (-1, 1),
}  # (rows, columns), if sideways after x <-> y
_JPEG = ("JPEG", "MPO")  # MPO: files of phones with a second picture inside
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


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header of a picture says.

    Attributes:
        width: Pixels across as they are stored, before the picture is turned upright.
        height: Pixels down as they are stored.
        orientation: EXIF orientation, 1 to 8; 1 where there is none, and for TIFF, whose sizes are upright ones.
    """

    width: int
    height: int
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) of the picture that `open_image` gives."""
        return (self.height, self.width) if self.orientation in _SIDEWAYS else (self.width, self.height)


def leads_outside(path: str, roots: Sequence[str]) -> str:
    """Return what to say of a picture that lies in none of some folders once links are followed, "" if it does.

    Args:
        path: The picture.
        roots: Folders without links in their own paths, see `os.path.realpath`.
    """
    real = os.path.realpath(path)
    if any(real.startswith(root.rstrip(os.sep) + os.sep) for root in roots):
        return ""
    return f"{path} leads to {real}, outside the allowed folders {', '.join(roots)}"


def open_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open a picture as it is meant to be seen.

    EXIF orientation is applied and then forgotten, transparent parts lie on white, 16 bits per channel are scaled to
    8, and of several frames or pages the first is taken.

    Args:
        path: A file of one of the `FORMATS`, whatever its name.
        max_pixels: Most pixels that are decoded.

    Returns:
        A picture of mode RGB without metadata.

    Raises:
        RecordError: The file is missing, of another format, damaged, cut off, has 32 bits per channel or more than
            `max_pixels` pixels.
    """
    with _opened(Path(path), max_pixels) as image:
        return _upright(image, Path(path))


def open_pixels(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Open a picture as an array: the pixels of `open_image`, by the fastest way.

    Args:
        path: As for `open_image`.
        max_pixels: Most pixels that are decoded.

    Returns:
        (H, W, 3) uint8 RGB, a new array in C order.

    Raises:
        RecordError: As `open_image`.
    """
    with _opened(Path(path), max_pixels) as image:
        if image.format in _JPEG and image.mode in ("RGB", "L"):
            pixels = _jpeg_pixels(image, Path(path))
            if pixels is not None:
                return pixels
        return np.array(_upright(image, Path(path)))


def open_preview(path: str | Path, *, side: int, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open a picture small and in grey, for a rough look: upright, of a JPEG file only an eighth of the pixels or so.

    Args:
        path: As for `open_image`.
        side: Pixels that both sides keep at least, if the picture has them.
        max_pixels: Most pixels that a file may have.

    Returns:
        A picture of mode L; its size is not that of the file.

    Raises:
        RecordError: As `open_image`; the end of a JPEG file is not looked at as closely.
    """
    with _opened(Path(path), max_pixels) as image:
        if image.format not in _JPEG:
            return _upright(image, Path(path)).convert("L")
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        image.draft("L", (side, side))
        turn = _TRANSPOSE.get(_orientation(image, Path(path)))
        grey = image.convert("L")
        return grey if turn is None else grey.transpose(turn)


def check_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Decode a picture wholly and look for damage that decoders pass over; costs up to twice `open_image`.

    Found are, besides all that `open_image` refuses: JPEG data that end before the last block, so that decoders fill
    the rest, and a wrong checksum in a PNG file. Bytes of a JPEG that were changed without changing the length
    of its codes are not found: that takes a checksum of the file.

    Args:
        path: As for `open_image`.
        max_pixels: Most pixels that are decoded.

    Returns:
        (width, height) in pixels of the picture that `open_image` gives.

    Raises:
        RecordError: As `open_image`, or such damage was found.
    """
    with _opened(Path(path), max_pixels) as image:
        size = _upright(image, Path(path)).size
        if image.format in _JPEG:
            data = Path(path).read_bytes()
            with Image.open(io.BytesIO(with_padding(data, coded_ends(data) or [])), formats=FORMATS) as padded:
                if padded.mode != image.mode or ImageChops.difference(padded, image).getbbox() is not None:
                    raise ValueError("its data end before the last block; a decoder fills the rest with grey")
        elif image.format == "PNG":
            with Image.open(path, formats=FORMATS) as again:
                again.verify()
        return size


def image_size(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (width, height) in pixels of the picture that `open_image` gives, from the header only.

    Raises:
        RecordError: The file is missing, of another format, has a damaged header or more than `max_pixels` pixels.
    """
    return image_header(path, max_pixels=max_pixels).upright


def image_header(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Return the size as it is stored and the orientation, from the header only.

    Raises:
        RecordError: As `image_size`.
    """
    with _opened(Path(path), max_pixels) as image:
        orientation = _orientation(image, Path(path))
        return ImageHeader(*image.size, orientation if orientation in _TRANSPOSE else 1)


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
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


def _upright(image: ImageFile.ImageFile, path: Path) -> Image.Image:
    # Some libraries switch this on for the whole process; then the missing part of a cut-off file is grey, unnoticed.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    if image.format in _JPEG and coded_ends(path.read_bytes()) is None:
        raise ValueError("it was cut off or damaged: its markers do not lead to an end of the image")
    orientation = _orientation(image, path)
    is_deep_colour = ";16" in str(image.tile)  # what the decoder reads; the mode is one of 8 bits all the same
    image.load()
    if is_deep_colour and image.format == "PNG" and not image.mode.startswith("I"):
        rgb = _to_rgb(_deep_colour(path))
    else:
        rgb = _to_rgb(image)
    upright = rgb.transpose(_TRANSPOSE[orientation]) if orientation in _TRANSPOSE else rgb
    upright.info = {}
    return upright


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _deep_grey(image)
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} has 32 bits per channel and no known range; convert the file to 8 bits")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _deep_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    grey = _to_8_bits(values)
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _deep_colour(path: Path) -> Image.Image:
    """Read a PNG of 16 bits per channel; Pillow would drop the lower 8."""
    import cv2

    values = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise ValueError("its 16 bits per channel cannot be decoded")
    return Image.fromarray(_to_8_bits(values[..., [2, 1, 0, 3][: values.shape[2]]]))


def _to_8_bits(values: npt.NDArray[np.uint16]) -> Pixels:
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)  # value * 255 / 65535, rounded


def _jpeg_pixels(image: Image.Image, path: Path) -> Pixels | None:
    """Decode with OpenCV, which spares the copy out of Pillow; None if it cannot, so that Pillow says why."""
    import cv2

    data = path.read_bytes()
    if coded_ends(data) is None:
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels: Pixels | None = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    if pixels is None or pixels.shape != (image.height, image.width, 3):
        return None
    orientation = _orientation(image, path)
    if orientation in _SIDEWAYS:
        pixels = pixels.transpose(1, 0, 2)
    rows, columns = _REVERSED.get(orientation, (1, 1))
    return np.ascontiguousarray(pixels[::rows, ::columns])


def _orientation(image: Image.Image, path: Path) -> int:
    if image.format == "TIFF":
        return 1  # Pillow turns these itself
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
