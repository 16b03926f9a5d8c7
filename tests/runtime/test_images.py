"""A picture is opened upright, RGB and whole, or not at all."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from qvl.errors import RecordError
from qvl.runtime import image_size, open_image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
WIDTH, HEIGHT = 48, 20


def picture(mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def saved(path: Path, image: Image.Image, file_format: str, **options: object) -> Path:
    image.save(path, format=file_format, **options)
    return path


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_picture_is_rgb_whatever_its_name_and_format(tmp_path: Path, file_format: str) -> None:
    path = saved(tmp_path / "图片.xyz", picture(), file_format)
    image = open_image(path)
    assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))
    assert image_size(str(path)) == (WIDTH, HEIGHT)
    if file_format in ("PNG", "BMP"):
        assert np.array_equal(np.asarray(image), np.asarray(picture()))


@pytest.mark.parametrize("value", range(10))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_applied_once_and_forgotten(tmp_path: Path, file_format: str, value: int) -> None:
    path = saved(tmp_path / "a", picture(), file_format, exif=orientation(value))
    upright = open_image(path)
    with Image.open(path) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    assert np.array_equal(np.asarray(upright), np.asarray(expected))
    assert image_size(path) == upright.size == ((HEIGHT, WIDTH) if 5 <= value <= 8 else (WIDTH, HEIGHT))
    assert ImageOps.exif_transpose(upright).size == upright.size
    assert not upright.info


def test_orientation_behind_the_pixels_of_a_png_is_seen(tmp_path: Path) -> None:
    content = saved(tmp_path / "a.png", picture(), "PNG").read_bytes()
    end = content.index(b"IEND") - 4
    exif = chunk(b"eXIf", orientation(6).tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "a.png").write_bytes(content[:end] + exif + content[end:])
    assert image_size(tmp_path / "a.png") == open_image(tmp_path / "a.png").size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP"])
def test_the_size_needs_the_header_only(tmp_path: Path, file_format: str) -> None:
    path = saved(tmp_path / "a", picture(), file_format)
    path.write_bytes(path.read_bytes()[:-400])
    assert image_size(path) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("switched_on", [False, True])
def test_a_truncated_picture_is_refused(
    tmp_path: Path, file_format: str, switched_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", switched_on)  # as some libraries do
    path = saved(tmp_path / "a", picture(), file_format)
    content = path.read_bytes()
    for length in (0, 1, 10, 30, len(content) // 2, len(content) - 100):
        path.write_bytes(content[:length])
        with pytest.raises(RecordError, match=str(path)):
            open_image(path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    for function in (open_image, image_size):
        with pytest.raises(RecordError, match=r"gone\.jpg: there is no such picture"):
            function(tmp_path / "gone.jpg")


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(RecordError, match="not a file"):
            open_image(path)
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(RecordError):
            open_image(name)


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", picture(), "PNG")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(RecordError, match="Permission denied"):
        open_image(path)


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_their_name(tmp_path: Path, file_format: str) -> None:
    path = saved(tmp_path / "a.jpg", picture(), file_format)
    with pytest.raises(RecordError, match="JPEG, PNG, WEBP, BMP"):
        open_image(path)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", picture(), "PNG")
    for function in (open_image, image_size):
        assert function(path, max_pixels=WIDTH * HEIGHT)
        with pytest.raises(RecordError, match=f"{WIDTH} x {HEIGHT} pixels are more than the allowed"):
            function(path, max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 30_000])  # above our limit, and above Pillow's own
def test_a_decompression_bomb_is_refused(tmp_path: Path, side: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    for function in (open_image, image_size):
        with pytest.raises(RecordError, match=r"bomb\.png"):
            function(tmp_path / "bomb.png")


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path / "a", picture(mode), "JPEG" if mode == "CMYK" else "PNG")
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(open_image(path)), np.asarray(image.convert("RGB")))


def test_transparent_parts_lie_on_white(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", Image.new("RGBA", (4, 4), (200, 0, 0, 0)), "PNG")
    assert open_image(path).getpixel((1, 1)) == (255, 255, 255)
    half = saved(tmp_path / "b", Image.new("LA", (4, 4), (0, 128)), "PNG")
    assert open_image(half).getpixel((1, 1)) == (127, 127, 127)


def test_sixteen_bits_per_channel_are_refused_not_clipped(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16)), "PNG")
    with pytest.raises(RecordError, match="8 bits"):
        open_image(path)


def test_the_first_frame_counts(tmp_path: Path) -> None:
    others = [Image.new("RGB", (WIDTH, HEIGHT))]
    for file_format in ("PNG", "WEBP", "MPO"):  # MPO: JPEG files of phones with a second picture inside
        path = saved(tmp_path / "a", picture(), file_format, save_all=True, append_images=others)
        assert np.asarray(open_image(path)).mean() > 60


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_a_picture_or_a_record_error(tmp_path: Path, file_format: str) -> None:
    buffer = io.BytesIO()
    exif = {} if file_format == "BMP" else {"exif": orientation(6)}
    picture().save(buffer, format=file_format, **exif)
    content = buffer.getvalue()
    draws = random.Random(0)
    path = tmp_path / "a"
    num_refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(draws.randint(1, 4)):
            damaged[min(draws.randrange(len(content)), draws.randrange(len(content)))] = draws.randrange(256)
        path.write_bytes(damaged)
        try:
            assert open_image(path).mode == "RGB"
        except RecordError as error:
            num_refused += 1
            assert str(path) in str(error)
    assert num_refused > 0
