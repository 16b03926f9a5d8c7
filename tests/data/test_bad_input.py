"""What a data set may hold by mistake: each case is a finding with file, line and field, or is read rightly."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from qvl.data import KeepAll
from qvl.data.rows import CheckedRows
from qvl.errors import RecordError
from qvl.geometry import Box, Polygon, Polyline, Shape, area, canonical
from qvl.runtime.checksums import CHECKSUMS_NAME, verify_checksums, write_checksums
from qvl.runtime.images import check_image, open_image, open_pixels

WIDTH, HEIGHT = 40, 20
RED, BLUE = (255, 0, 0), (0, 0, 255)
BOM = b"\xef\xbb\xbf"

Found = list[tuple[int, str, str]]


def row(**changes: object) -> dict[str, object]:
    objects = [{"desc": "x", "bbox_2d": [1, 2, 3, 4]}]
    return {"images": ["a.png"], "objects": objects, "width": WIDTH, "height": HEIGHT} | changes


def opened(folder: Path, content: bytes) -> CheckedRows:
    (folder / "rows.jsonl").write_bytes(content)
    return CheckedRows(str(folder / "rows.jsonl"), preprocessor=KeepAll())


def found(rows: CheckedRows, *, images: str = "decode") -> Found:
    findings = rows.check(images=images)
    assert all(str(finding).startswith(f"{rows.path}:{finding.where.line}: ") for finding in findings)
    assert all(finding.fatal for finding in findings)
    return [(finding.where.line, finding.code, finding.field) for finding in findings]


# ---- shapes


@pytest.mark.parametrize(
    ("key", "numbers", "code", "path"),
    [
        ("bbox_2d", [5, 5, 5, 9], "bbox_unordered", ""),  # no area
        ("bbox_2d", [5, 5, 5, 5], "bbox_unordered", ""),
        ("bbox_2d", [9, 9, 5, 5], "bbox_unordered", ""),  # inverted
        ("bbox_2d", [9, 5, 5, 9], "bbox_unordered", ""),
        ("bbox_2d", [0, 0, 41, 20], "out_of_bounds", "[2]"),
        ("bbox_2d", [-1, 0, 40, 20], "out_of_bounds", "[0]"),
        ("poly", [1, 1, 5, 5, 9, 9], "degenerate", ""),
        ("poly", [1, 1, 9, 1, 9, 9, 9, 1], "degenerate", ""),  # to and fro
        ("poly", [3, 3, 3, 3, 3, 3], "degenerate", ""),  # one point
        ("poly", [3, 3, 3, 3, 9, 9], "degenerate", ""),  # vertices twice, and two points in all
        ("poly", [0, 0, 9, 0, 9, 21], "out_of_bounds", "[5]"),
        ("poly", [3, 3], "bad_length", ""),
        ("line", [3, 3], "bad_length", ""),
        ("line", [3, 3, 3, 3], "degenerate", ""),
        ("line", [3, 3, 3, 20.001], "out_of_bounds", "[3]"),
    ],
)
def test_a_bad_shape_is_found(tmp_path: Path, key: str, numbers: list[float], code: str, path: str) -> None:
    good = json.dumps(row()).encode()
    bad = json.dumps(row(objects=[{"desc": "x", "bbox_2d": [0, 0, 40, 20]}, {"desc": "y", key: numbers}])).encode()
    rows = opened(tmp_path, good + b"\n" + bad + b"\n")
    assert found(rows, images="off") == [(2, code, f"objects[1].{key}{path}")]


@pytest.mark.parametrize(
    ("key", "numbers", "shape", "covered"),
    [
        ("poly", [0, 0, 10, 10, 10, 0, 0, 10], Polygon, 50),  # crosses itself: both triangles
        ("poly", [0, 0, 0, 0, 10, 0, 10, 10, 10, 10, 0, 0], Polygon, 50),  # vertices twice, and closed
        ("poly", [0, 0, 10, 0, 20, 0, 10, 0, 10, 10], Polygon, 50),  # a spike
        ("poly", [0, 0, 0, 10, 10, 10, 10, 0], Polygon, 100),  # against the clock
        ("line", [5, 5, 5, 5, 9, 9], Polyline, 0),
        ("line", [1, 1, 9, 9, 1, 1], Polyline, 0),
        ("bbox_2d", [0, 0, 40.0000001, 20], Box, 800),  # what float arithmetic leaves behind
    ],
)
def test_an_odd_shape_is_kept(
    tmp_path: Path, key: str, numbers: list[float], shape: type[Shape], covered: float
) -> None:
    rows = opened(tmp_path, json.dumps(row(objects=[{"desc": "x", key: numbers}])).encode())
    assert found(rows, images="off") == []
    [item] = rows[0].objects
    assert isinstance(item.shape, shape)
    assert area(item.shape) == area(canonical(item.shape)) == pytest.approx(covered)


# ---- rows


def text(**changes: object) -> bytes:
    return json.dumps(row(**changes), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (text() + b"\n" + text().replace(b"[1, 2", b"[NaN, 2"), [(2, "non_finite", "objects[0].bbox_2d[0]")]),
        (text().replace(b"[1, 2", b"[-Infinity, 2"), [(1, "non_finite", "objects[0].bbox_2d[0]")]),
        (text().replace(b'"width": 40', b'"width": NaN'), [(1, "non_finite", "width"), (1, "bad_size", "width")]),
        (text().replace(b'"height"', b'"width": 40, "height"'), [(1, "duplicate_key", "width")]),
        (text().replace(b'"desc": "x"', b'"desc": "x", "desc": "y"'), [(1, "duplicate_key", "objects[0].desc")]),
        (text() + b"\n\n" + text()[:-20], [(3, "bad_json", "")]),  # the last line was cut off
        (text() + b"\r\n" + text()[:1], [(2, "bad_json", "")]),
        (text() + b"\n" + BOM + text() + b"\n", [(2, "bad_json", "")]),  # files joined, each with its mark
        (text().decode().encode("utf-16"), [(1, "bad_utf8", "")]),
        (text(summary="é").decode().encode("latin-1"), [(1, "bad_utf8", "")]),
        (b"\0" * 4096, [(1, "bad_json", "")]),  # a file that was never filled
        (b"[" + text() + b"]", [(1, "not_an_object", "")]),  # JSON, not JSONL
        (text(padding="x" * 10_000_000, width=0), [(1, "bad_size", "width")]),
        (text(objects=[{"desc": "x", "poly": [1] * 1_999_999}]), [(1, "odd_length", "objects[0].poly")]),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else "",
)
def test_a_bad_row_is_found(tmp_path: Path, content: bytes, expected: Found) -> None:
    assert found(opened(tmp_path, content), images="off") == expected


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (BOM, []),
        (b"\n \r\n\n", []),
        (BOM + text() + b"\r\n" + text() + b"\r\n", [1, 2]),
        (b"\r\n" + text() + b"\r\n\r\n" + text(), [2, 4]),
        (text(summary="两个螺丝"), [1]),
        (text(padding=["x" * 1000] * 10_000) + b"\n" + text(), [1, 2]),  # 10 MB
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else "",
)
def test_an_odd_file_is_read(tmp_path: Path, content: bytes, lines: list[int]) -> None:
    rows = opened(tmp_path, content)
    assert found(rows, images="off") == []
    assert [rows[index].source.line for index in range(len(rows))] == lines
    assert all(rows[index].objects[0].shape == Box(1, 2, 3, 4) for index in range(len(rows)))


# ---- pictures


def scene(mode: str = "RGB") -> Image.Image:
    """Return a picture that is red on the left and blue on the right."""
    image = Image.new("RGB", (WIDTH, HEIGHT), RED)
    image.paste(BLUE, (WIDTH // 2, 0, WIDTH, HEIGHT))
    return image.convert(mode)


def rotated(value: int) -> Callable[[Path], object]:
    """Return a writer that stores the scene so that EXIF orientation `value` makes it upright."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # of Image.Transpose
    exif = Image.Exif()
    exif[0x0112] = value
    stored = scene().transpose(Image.Transpose(undo[value])) if value in undo else scene()
    return lambda path: stored.save(path, "JPEG", quality=95, subsampling=0, exif=exif)


def palette(path: Path) -> None:
    """Write a palette picture whose blue is transparent."""
    image = scene().quantize(2)
    image.save(path, "PNG", transparency=image.getpixel((WIDTH - 1, 0)))


def sixteen(path: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint16)
    values[:, : WIDTH // 2, 2] = values[:, WIDTH // 2 :, 0] = 65535
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())


def frames(file_format: str) -> Callable[[Path], object]:
    others = [Image.new("RGB", (WIDTH, HEIGHT), "lime")] * 2
    return lambda path: scene().save(path, file_format, save_all=True, append_images=others, duration=40)


def grey(dtype: type, level: float) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(np.full((HEIGHT, WIDTH), level, dtype=dtype)).save(path, "TIFF")


def bomb(path: Path) -> None:
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def cut(file_format: str, keep: float, tail: bytes = b"") -> Callable[[Path], object]:
    def write(path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path, file_format)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)] + tail)

    return write


@pytest.mark.parametrize(
    ("write", "left", "right"),
    [
        *((rotated(value), RED, BLUE) for value in range(1, 9)),
        (lambda path: scene("CMYK").save(path, "JPEG", quality=95), RED, BLUE),
        (lambda path: scene("CMYK").save(path, "TIFF"), RED, BLUE),
        (palette, RED, (255, 255, 255)),
        (sixteen, RED, BLUE),
        (grey(np.uint16, 32768), (128, 128, 128), (128, 128, 128)),
        *((frames(name), RED, BLUE) for name in ("GIF", "WEBP", "PNG", "TIFF")),
    ],
)
def test_an_odd_picture_has_its_colours_in_their_places(
    tmp_path: Path, write: Callable[[Path], object], left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    write(tmp_path / "a.png")
    rows = opened(tmp_path, text())
    assert found(rows) == []
    assert check_image(tmp_path / "a.png") == (WIDTH, HEIGHT)
    for pixels in (open_pixels(rows[0].images[0]), np.asarray(open_image(rows[0].images[0]))):
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        middle = WIDTH // 2
        assert np.abs(pixels[:, : middle - 8].astype(int) - left).max() <= 6
        assert np.abs(pixels[:, middle + 8 :].astype(int) - right).max() <= 6


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000)])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "TIFF", "BMP"])
def test_a_picture_of_extreme_form_is_read(tmp_path: Path, size: tuple[int, int], file_format: str) -> None:
    Image.new("RGB", size, "white").save(tmp_path / "a.png", file_format)
    line = [0, 0, size[0], size[1]]
    rows = opened(tmp_path, text(width=size[0], height=size[1], objects=[{"desc": "x", "line": line}]))
    assert found(rows) == []
    assert check_image(tmp_path / "a.png") == size
    pixels = open_pixels(tmp_path / "a.png")
    assert pixels.shape == (size[1], size[0], 3)
    assert pixels.min() >= 254


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (bomb, "image_unreadable"),
        (grey(np.float32, 0.5), "image_unreadable"),
        (grey(np.int32, 70_000), "image_unreadable"),
        (lambda path: path.write_bytes(b""), "image_unreadable"),
        (lambda path: path.write_text("<svg/>"), "image_unreadable"),
        (lambda path: path.mkdir(), "image_unreadable"),
        (lambda path: None, "image_unreadable"),  # there is none
        *((cut(name, 0.6), "image_unreadable") for name in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")),
        (cut("JPEG", 0.99), "image_unreadable"),
        (cut("JPEG", 0.7, bytes(3000)), "image_unreadable"),  # the place was kept, the bytes never came
        (lambda path: scene().resize((20, 40)).save(path, "PNG"), "size_mismatch"),
    ],
)
def test_a_bad_picture_is_found(tmp_path: Path, write: Callable[[Path], object], expected: str) -> None:
    write(tmp_path / "a.png")
    field = "width" if expected == "size_mismatch" else "images"
    assert found(opened(tmp_path, b"\n" + text() + b"\n")) == [(2, expected, field)]


def test_a_jpeg_that_ends_early_but_has_an_end_is_found(tmp_path: Path) -> None:
    cut("JPEG", 0.7, b"\xff\xd9")(tmp_path / "a.png")
    with pytest.raises(RecordError, match=r"a\.png: .* end before the last block"):
        check_image(tmp_path / "a.png")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_any_flipped_byte_is_found_where_there_are_checksums(tmp_path: Path, file_format: str) -> None:
    path = tmp_path / "a.png"
    cut(file_format, 1)(path)
    write_checksums(tmp_path / CHECKSUMS_NAME, [path])
    assert verify_checksums(tmp_path / CHECKSUMS_NAME) == []
    content = path.read_bytes()
    for at in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        [fault] = verify_checksums(tmp_path / CHECKSUMS_NAME)
        assert (fault.code, fault.line, fault.name) == ("checksum_mismatch", 1, "a.png")
