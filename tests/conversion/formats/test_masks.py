"""Masks to outlines in pixel edges."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from qvl.conversion.formats.masks import mask_outlines, read_rle

Mask = npt.NDArray[np.uint8]
MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))
)


def painted(outlines: list[tuple[float, ...]], shape: tuple[int, ...]) -> Mask:
    """Fill every pixel whose centre lies in a ring by the even-odd rule."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    result = np.zeros(shape, dtype=np.uint8)
    for flat in outlines:
        ring = np.array(flat).reshape(-1, 2)
        inside = np.zeros(shape, dtype=bool)
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y1 != y2:
                crosses = (min(y1, y2) <= rows) & (rows < max(y1, y2))
                inside ^= crosses & (columns < x1 + (rows - y1) * (x2 - x1) / (y2 - y1))
        result |= inside
    return result


def without_holes(mask: Mask) -> Mask:
    _, parts = cv2.connectedComponents(np.pad(1 - mask, 1, constant_values=1), connectivity=4)
    return (parts != parts[0, 0]).astype(np.uint8)[1:-1, 1:-1]


@given(MASKS)
def test_an_exact_outline_paints_the_mask_again(mask: Mask) -> None:
    outlines, holes = mask_outlines(mask, tolerance=0)
    assert np.array_equal(painted(outlines, mask.shape), without_holes(mask))
    assert (holes > 0) == bool((without_holes(mask) != mask).any())


@given(MASKS)
def test_the_outline_of_a_mask_touches_the_edges_of_its_pixels_not_their_centres(mask: Mask) -> None:
    outlines, _ = mask_outlines(mask, tolerance=0)
    if not mask.any():
        assert outlines == []
        return
    rows, columns = np.nonzero(mask)
    points = np.concatenate([np.array(flat).reshape(-1, 2) for flat in outlines])
    assert points.min(axis=0).tolist() == [columns.min(), rows.min()]
    assert points.max(axis=0).tolist() == [columns.max() + 1, rows.max() + 1]


def test_a_tolerance_spares_vertices_and_little_area() -> None:
    disk = np.zeros((200, 300), dtype=np.uint8)
    cv2.circle(disk, (150, 90), 70, 1, thickness=-1)
    exact, _ = mask_outlines(disk, tolerance=0)
    smooth, _ = mask_outlines(disk, tolerance=1.0)
    assert len(exact[0]) > 300
    assert len(smooth[0]) < 80
    again = painted(smooth, disk.shape)
    assert (again & disk).sum() / (again | disk).sum() > 0.98


def test_parts_come_largest_first() -> None:
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[1:3, 1:3], mask[10:18, 5:15] = 1, 1
    outlines, _ = mask_outlines(mask, tolerance=1.0)
    assert [set(flat) for flat in outlines] == [{5, 10, 15, 18}, {1, 3}]


@settings(max_examples=50)
@given(MASKS)
def test_both_forms_of_a_mask_are_read(mask: Mask) -> None:
    height, width = mask.shape
    packed = coco.encode(np.asfortranarray(mask))
    flat = mask.ravel(order="F").tolist()
    runs, last = [0], 0
    for value in flat:
        if value != last:
            runs.append(0)
        runs[-1] += 1
        last = value
    for counts in (packed["counts"].decode(), runs):
        found = read_rle({"size": [height, width], "counts": counts}, width=width, height=height)
        assert np.array_equal(found, mask)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [6, 7], "counts": "=24000"}, "do not add up to 42 pixels"),  # cut off
        ({"size": [6, 7], "counts": "=24000;5"}, "do not add up"),
        ({"size": [6, 7], "counts": "~~~"}, "do not add up"),
        ({"size": [6, 7], "counts": "é"}, "do not add up"),
        ({"size": [6, 7], "counts": ""}, "do not add up"),
        ({"size": [6, 7], "counts": [-1, 43]}, "do not add up"),
        ({"size": [6, 7], "counts": [1.5, 40.5]}, "whole numbers"),
        ({"size": [6, 7], "counts": None}, "whole numbers"),
        ({"size": [7, 6], "counts": [42]}, "size [7, 6]"),
        ({"counts": [42]}, "size None"),
    ],
)
def test_a_damaged_mask_is_told_and_not_filled_with_chance(segmentation: dict[str, Any], message: str) -> None:
    found = read_rle(segmentation, width=7, height=6)
    assert isinstance(found, str)
    assert message in found
