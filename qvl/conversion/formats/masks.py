"""Masks of COCO to outlines in pixel edges."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from qvl.runtime.images import MAX_PIXELS

__all__ = ["mask_outlines", "read_rle"]

Mask = npt.NDArray[np.uint8]
Ring = npt.NDArray[np.int64]


def read_rle(segmentation: Mapping[str, object], *, width: int, height: int) -> Mask | str:
    """Decode a run-length encoded mask, compressed or not.

    Args:
        segmentation: `{"size": [height, width], "counts": text or list}`.
        width: Pixels across that it has to have.
        height: Pixels down that it has to have.

    Returns:
        (H, W) uint8 of 0 and 1, or why it cannot be read.
    """
    from pycocotools import mask as coco

    if width * height > MAX_PIXELS:
        return f"a mask of {width} x {height} pixels is larger than the allowed {MAX_PIXELS}"
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        return f"the mask has the size {size}, the picture [{height}, {width}]"
    if isinstance(counts, str):
        runs = _runs(counts)
    elif isinstance(counts, list) and all(type(count) is int for count in counts):
        runs = counts
    else:
        return "counts has to be a text or a list of whole numbers"
    # checked here, because the decoder fills what is missing with whatever lies in memory
    if runs is None or min(runs, default=0) < 0 or sum(runs) != width * height:
        return f"the runs of the mask do not add up to {width * height} pixels"
    rle = {"size": size, "counts": counts}
    mask: Mask = coco.decode(rle if isinstance(counts, str) else coco.frPyObjects(rle, height, width))
    return mask


def mask_outlines(mask: Mask, *, tolerance: float) -> tuple[list[tuple[float, ...]], int]:
    """Return the outer outline of each part of a mask, in pixel edges.

    Args:
        mask: (H, W) uint8.
        tolerance: How far in pixels an outline may be from the edges of the pixels; 0 follows every step of them.

    Returns:
        One flat list x1, y1, ... a part, largest first, and the number of holes, which are not part of an outline.
    """
    import cv2

    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return [], 0
    crop = mask[top : top + height, left : left + width]
    # OpenCV joins centres of pixels. Of a mask of double size these tell on which side of a pixel an edge lies.
    double = np.ascontiguousarray(crop.repeat(2, axis=0).repeat(2, axis=1))
    contours, tree = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outer = [contour[:, 0] for contour, (*_, parent) in zip(contours, tree[0], strict=True) if parent < 0]
    rings = sorted((_corners((ring.astype(np.int64) + 1) // 2) for ring in outer), key=_area, reverse=True)
    flat = [tuple((_smooth(ring, tolerance) + (left, top)).ravel().tolist()) for ring in rings]
    return flat, len(contours) - len(outer)


def _runs(counts: str) -> list[int] | None:
    """Decode the text of a compressed mask into its runs, None if it cannot be one.

    Six bits a character: five of a number and one that says that it goes on. From the fourth run on the numbers are
    differences to the last run but one.
    """
    runs: list[int] = []
    number = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return None
        number |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return None if shift else runs


def _corners(ring: Ring) -> Ring:
    """Return the ring without repeated points and without points in the middle of a straight edge."""
    ring = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    corners: Ring = ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return corners


def _area(ring: Ring) -> int:
    x, y = ring.T
    return abs(int((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()))


def _smooth(ring: Ring, tolerance: float) -> Ring:
    """Return the ring with fewer points (Douglas and Peucker), or as it is where too little would be left."""
    import cv2

    if tolerance <= 0:
        return ring
    fewer: Ring = cv2.approxPolyDP(ring.astype(np.int32)[:, None], tolerance, True)[:, 0].astype(np.int64)
    return fewer if len(fewer) >= 3 and _area(fewer) else ring
