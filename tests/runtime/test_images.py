"""A picture is opened upright, RGB and whole, or not at all."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from qvl.errors import RecordError
from qvl.runtime.images import check_image, image_size, open_image, open_pixels

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
WIDTH, HEIGHT = 48, 20
OPENERS = (open_image, open_pixels, check_image)
JPEGS: dict[str, dict[str, object]] = {
    "plain": {"quality": 85},
    "fine": {"quality": 100, "subsampling": 0},
    "progressive": {"quality": 85, "progressive": True},
    "restarts": {"quality": 85, "restart_marker_rows": 1},
    "progressive restarts": {"quality": 90, "progressive": True, "restart_marker_blocks": 5},
}


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
    if file_format in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(np.asarray(image), np.asarray(picture()))


@pytest.mark.parametrize("value", range(10))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_once_and_forgotten(tmp_path: Path, file_format: str, value: int) -> None:
    path = saved(tmp_path / "a", picture(), file_format, exif=orientation(value))
    upright = open_image(path)
    with Image.open(path) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    assert np.array_equal(np.asarray(upright), np.asarray(expected))
    assert np.array_equal(open_pixels(path), np.asarray(expected))
    size = (HEIGHT, WIDTH) if 5 <= value <= 8 else (WIDTH, HEIGHT)
    assert image_size(path) == check_image(path) == upright.size == size
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
@pytest.mark.filterwarnings("ignore::UserWarning")  # TIFF: Pillow says what it misses, then raises
def test_a_truncated_picture_is_refused(
    tmp_path: Path, file_format: str, switched_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", switched_on)  # as some libraries do
    path = saved(tmp_path / "a", picture(), file_format)
    content = path.read_bytes()
    for length in (0, 1, 10, 30, len(content) // 2, len(content) - 100):
        path.write_bytes(content[:length])
        for function in OPENERS:
            with pytest.raises(RecordError, match=str(path)):
                function(path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    for function in (*OPENERS, image_size):
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


@pytest.mark.parametrize("file_format", ["PPM", "ICO", "TGA"])
def test_other_formats_are_refused_whatever_their_name(tmp_path: Path, file_format: str) -> None:
    path = saved(tmp_path / "a.jpg", picture(), file_format)
    with pytest.raises(RecordError, match="JPEG, PNG, WEBP, BMP, GIF, TIFF"):
        open_image(path)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", picture(), "PNG")
    for function in (*OPENERS, image_size):
        assert function(path, max_pixels=WIDTH * HEIGHT) is not None
        with pytest.raises(RecordError, match=f"{WIDTH} x {HEIGHT} pixels are more than the allowed"):
            function(path, max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 30_000])  # above our limit, and above Pillow's own
def test_a_decompression_bomb_is_refused(tmp_path: Path, side: int) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    for function in (*OPENERS, image_size):
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


def ramp(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 65536, size=(HEIGHT, WIDTH, *shape), dtype=np.uint16)


def scaled(values: np.ndarray) -> np.ndarray:
    return np.rint(values / 65535 * 255).astype(np.uint8)


@pytest.mark.parametrize(("file_format", "big_endian"), [("PNG", False), ("TIFF", False), ("TIFF", True)])
def test_sixteen_bits_of_grey_are_scaled_not_clipped(tmp_path: Path, file_format: str, big_endian: bool) -> None:
    values = ramp()
    mode = "I;16B" if big_endian else "I;16"
    content = values.astype(">u2" if big_endian else "<u2").tobytes()
    path = saved(tmp_path / "a", Image.frombytes(mode, (WIDTH, HEIGHT), content), file_format)
    with Image.open(path) as image:
        assert image.mode == mode
    for pixels in (np.asarray(open_image(path)), open_pixels(path)):
        assert np.array_equal(pixels, np.repeat(scaled(values)[..., None], 3, axis=2))


def test_sixteen_bits_of_colour_are_scaled_not_cut(tmp_path: Path) -> None:
    for num_channels in (3, 4):
        values = ramp(num_channels)
        values[..., 3:] = 65535
        assert cv2.imwrite(str(tmp_path / "a.png"), values)  # blue first
        rgb = scaled(values[..., 2::-1])
        assert not np.array_equal(rgb, values[..., 2::-1] >> 8)  # what Pillow gives
        assert np.array_equal(np.asarray(open_image(tmp_path / "a.png")), rgb)
        assert np.array_equal(open_pixels(tmp_path / "a.png"), rgb)
    assert cv2.imwrite(str(tmp_path / "a.tiff"), values[..., :3])
    assert np.abs(open_pixels(tmp_path / "a.tiff").astype(int) - rgb).max() <= 1


def test_transparent_pixels_of_sixteen_bits_lie_on_white(tmp_path: Path) -> None:
    values = np.zeros((4, 4, 4), dtype=np.uint16)
    values[:2, :, 3] = 65535
    assert cv2.imwrite(str(tmp_path / "a.png"), values)
    assert open_pixels(tmp_path / "a.png")[:, 0].tolist() == [[0, 0, 0]] * 2 + [[255, 255, 255]] * 2
    grey = Image.fromarray(np.array([[0, 300, 40_000]], dtype=np.uint16))
    path = saved(tmp_path / "b.png", grey, "PNG", transparency=300)
    assert open_pixels(path)[0, :, 0].tolist() == [0, 255, 156]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_thirty_two_bits_per_channel_are_refused(tmp_path: Path, dtype: type) -> None:
    path = saved(tmp_path / "a", Image.fromarray(np.full((4, 4), 200, dtype=dtype)), "TIFF")
    for function in OPENERS:
        with pytest.raises(RecordError, match="32 bits per channel"):
            function(path)


def jpeg(**options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, size=(12, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", JPEGS)
def test_an_intact_jpeg_passes_and_both_ways_give_the_same_pixels(tmp_path: Path, kind: str) -> None:
    for mode in ("RGB", "L"):
        path = tmp_path / mode
        with Image.open(io.BytesIO(jpeg(**JPEGS[kind]))) as image:
            saved(path, image.convert(mode), "JPEG", **JPEGS[kind])
        path.write_bytes(path.read_bytes() + b"what a camera may add")
        assert check_image(path) == (160, 120)
        pixels = open_pixels(path)
        assert np.array_equal(pixels, np.asarray(open_image(path)))
        assert (pixels.dtype, pixels.flags.c_contiguous, pixels.flags.writeable) == (np.uint8, True, True)


def test_fill_bytes_before_a_marker_are_no_damage(tmp_path: Path) -> None:
    content, path = jpeg(**JPEGS["plain"]), tmp_path / "a.jpg"
    path.write_bytes(content)
    expected = open_pixels(path)
    path.write_bytes(content[:-2] + b"\xff\xff\xff" + content[-2:])
    assert check_image(path) == (160, 120)
    assert np.array_equal(open_pixels(path), expected)


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("tail", [b"", bytes(5000)])  # cut off; or kept at its length and never filled
def test_a_jpeg_that_is_cut_off_anywhere_is_refused(tmp_path: Path, kind: str, tail: bytes) -> None:
    content, path = jpeg(**JPEGS[kind]), tmp_path / "a.jpg"
    for length in (*range(1, len(content) - 40, 197), *range(len(content) - 40, len(content))):
        path.write_bytes(content[:length] + tail)
        for function in OPENERS:
            with pytest.raises(RecordError, match=r"a\.jpg"):
                function(path)


@pytest.mark.parametrize("kind", ["plain", "fine"])
def test_a_cut_off_body_with_an_end_is_found_by_the_check(tmp_path: Path, kind: str) -> None:
    content, path = jpeg(**JPEGS[kind]), tmp_path / "a.jpg"
    start = content.rindex(b"\xff\xda") + 20
    for length in range(start, len(content) - 20, 151):
        path.write_bytes(content[:length].rstrip(b"\xff") + b"\xff\xd9")
        assert open_pixels(path).shape == (120, 160, 3)  # the decoder fills the rest without a word
        with pytest.raises(RecordError, match="before the last block"):
            check_image(path)


@pytest.mark.parametrize("kind", JPEGS)
def test_flipped_bytes_of_a_jpeg_are_refused_by_both_ways_or_give_the_same_pixels(tmp_path: Path, kind: str) -> None:
    content, path, draws = jpeg(**JPEGS[kind]), tmp_path / "a.jpg", random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[draws.randrange(2, len(content))] ^= draws.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            expected = np.asarray(open_image(path))
        except RecordError:
            refused += 1
            with pytest.raises(RecordError):
                open_pixels(path)
        else:
            assert np.array_equal(open_pixels(path), expected)
    assert refused > 0


def test_flipped_bits_of_a_png_are_found_by_the_check(tmp_path: Path) -> None:
    content, path = saved(tmp_path / "a.png", picture(), "PNG").read_bytes(), tmp_path / "a.png"
    for at in range(0, len(content) - 12, 29):  # the last chunk is empty: nothing can be lost
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        with pytest.raises(RecordError, match=r"a\.png"):
            check_image(path)


def test_cmyk_of_adobe_has_the_colours_it_was_saved_with(tmp_path: Path) -> None:
    colours = {(0, 255, 255, 0): (255, 0, 0), (255, 0, 0, 0): (0, 255, 255), (0, 0, 0, 255): (0, 0, 0)}
    for inks, rgb in colours.items():
        path = saved(tmp_path / "a", Image.new("CMYK", (16, 16), inks), "JPEG", quality=100)
        assert b"Adobe" in path.read_bytes()
        for pixels in (np.asarray(open_image(path)), open_pixels(path)):
            assert np.abs(pixels.astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF", "TIFF", "MPO"])  # MPO: JPEG with a second picture inside
def test_the_first_frame_counts(tmp_path: Path, file_format: str) -> None:
    others = [Image.new("RGB", (WIDTH, HEIGHT), "blue")]
    path = saved(
        tmp_path / "a", Image.new("RGB", (WIDTH, HEIGHT), "red"), file_format, save_all=True, append_images=others
    )
    for pixels in (np.asarray(open_image(path)), open_pixels(path)):
        assert np.abs(pixels.astype(int) - (255, 0, 0)).max() <= 3


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
        for function in OPENERS:
            try:
                function(path)
            except RecordError as error:
                num_refused += 1
                assert str(path) in str(error)
    assert num_refused > 0
