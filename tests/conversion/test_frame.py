"""In which frame a source gives its numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qvl.conversion.annotated import Annotated, Annotation, Refused
from qvl.conversion.frame import Frame, settle_frame, upright_matrix
from qvl.geometry import apply
from qvl.runtime import ImageHeader, image_header, open_image

ORIENTATION_TAG = 0x0112


def annotated(size: tuple[int, int] | None, *box: float, unit: str = "pixels") -> Annotated:
    objects = (Annotation("cup", "bbox_2d", (box,), "here"),) if box else ()
    width, height = size or (None, None)
    return Annotated("a.jpg", "here", objects, width=width, height=height, unit=unit)


def header(width: int, height: int, orientation: int = 1) -> ImageHeader:
    return ImageHeader(width, height, orientation)


def settled(given: Annotated, of: ImageHeader, exif: str = "auto") -> Frame:
    frame = settle_frame(given, of, exif=exif)
    assert isinstance(frame, Frame), frame
    return frame


def corners(frame: Frame, *points: float) -> list[float]:
    return apply(frame.matrix, np.array(points).reshape(-1, 2)).ravel().tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_matrix_moves_numbers_as_the_orientation_moves_pixels(tmp_path: Path, orientation: int) -> None:
    stored = np.zeros((40, 60, 3), dtype=np.uint8)
    stored[8:16, 40:56] = 255  # a box from (40, 8) to (56, 16)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(stored).save(path, exif=exif)
    seen = np.asarray(open_image(path))[..., 0] > 0
    rows, columns = np.nonzero(seen.any(axis=1))[0], np.nonzero(seen.any(axis=0))[0]
    box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    head = image_header(path)
    assert head == header(60, 40, orientation)
    points = apply(upright_matrix(orientation, 60, 40), np.array([[40.0, 8.0], [56.0, 16.0]]))
    assert [*points.min(axis=0), *points.max(axis=0)] == box
    assert head.upright == seen.shape[::-1]


@pytest.mark.parametrize(
    ("size", "of", "numbers", "repairs"),
    [
        ((60, 40), header(60, 40), [10, 20], ()),
        ((60, 40), header(40, 60, 6), [10, 20], ()),  # annotated as it is seen
        ((40, 60), header(40, 60, 6), [40, 10], ("exif_rotated",)),  # annotated as it is stored: x' = 60 - 20
        ((40, 60), header(60, 40), [10, 20], ("size_swapped",)),
        (None, header(60, 40), [10, 20], ("size_missing",)),
        (None, header(40, 60, 6), [10, 20], ("exif_assumed_upright", "size_missing")),
        ((120, 80), header(60, 40), [5, 10], ("size_rescaled",)),
        ((80, 120), header(40, 60, 6), [50, 5], ("size_rescaled", "exif_rotated")),
        ((60, 40), header(60, 40, 3), [10, 20], ("exif_assumed_upright",)),  # turned around: both have this size
    ],
)
def test_the_sizes_tell_the_frame(
    size: tuple[int, int] | None, of: ImageHeader, numbers: list[float], repairs: tuple[str, ...]
) -> None:
    frame = settled(annotated(size, 1, 1, 9, 9), of)
    assert corners(frame, 10, 20) == numbers
    assert frame.repairs == repairs
    assert (frame.width, frame.height) == of.upright


def test_shapes_that_only_fit_the_stored_picture_tell_the_frame_where_no_size_is_given() -> None:
    frame = settled(annotated(None, 5, 5, 35, 58), header(40, 60, 6))
    assert frame.repairs == ("exif_rotated", "size_missing")


@pytest.mark.parametrize(("exif", "x"), [("upright", 10), ("raw", 40)])
def test_the_user_may_say_the_frame(exif: str, x: float) -> None:
    frame = settled(annotated(None, 1, 1, 9, 9), header(40, 60, 6), exif)
    assert corners(frame, 10, 20)[0] == x
    assert settled(annotated((60, 40), 1, 1, 9, 9), header(60, 40), exif).repairs == ()  # no orientation: no matter


@pytest.mark.parametrize(
    ("given", "of", "exif"),
    [
        (annotated((100, 40), 1, 1, 9, 9), header(60, 40), "auto"),
        (annotated((40, 60), 1, 1, 30, 58), header(60, 40), "auto"),  # swapped, but then the box does not fit
        (annotated((60, 40), 1, 1, 9, 9), header(40, 60, 6), "raw"),
    ],
)
def test_another_size_is_refused(given: Annotated, of: ImageHeader, exif: str) -> None:
    found = settle_frame(given, of, exif=exif)
    assert isinstance(found, Refused)
    assert found.code == "size_mismatch"
    assert f"{given.width} x {given.height}" in found.message


@pytest.mark.parametrize("of", [header(60, 40), header(40, 60, 6)])
def test_shares_become_pixels(of: ImageHeader) -> None:
    frame = settled(annotated(None, 0.1, 0.1, 0.2, 0.2, unit="share"), of)
    assert corners(frame, 0.5, 0.25) == [30, 10]


def test_shares_of_the_stored_picture_are_turned() -> None:
    frame = settled(annotated((40, 60), 0.1, 0.1, 0.2, 0.2, unit="share"), header(40, 60, 6))
    assert corners(frame, 0.25, 0.5) == [30, 10]
