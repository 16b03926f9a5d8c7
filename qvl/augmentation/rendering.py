"""The pixels of a sample: everything that moved them, in one warp."""

from __future__ import annotations

import math
from functools import partial

import cv2
import numpy as np

from qvl.augmentation.sample import Sample
from qvl.augmentation.view import View
from qvl.geometry import Matrix, Points, apply, compose, invert, rectangle, scaling, translation

__all__ = ["GREY", "render"]

GREY = 128
"""What is seen outside the picture; close to 0 once Qwen3-VL has normalised it."""

_WHOLE = 1e-6  # pixels: a shift that differs from a whole number by rounding only
_PREFILTER_BELOW = 0.8  # scale; above, bilinear sampling alone is closer to the resize of Pillow, and faster
_GAP = 3  # how much finer than the canvas a picture stays that is averaged in blocks before it is filtered


def render(sample: Sample, image: np.ndarray) -> np.ndarray:
    """Return the pixels of a sample.

    At most one interpolation happens, whatever the number of transforms. Mirrors and shifts by whole pixels are copies.
    Otherwise the picture is sampled bilinearly; where it shrinks, it is first filtered by the cubic kernel that Pillow
    and the image processors use, stretched to the pixels of the canvas, so that fine patterns become grey, not waves.

    Args:
        sample: What to show.
        image: (H, W, 3) uint8 RGB, the upright source picture.

    Returns:
        (height, width, 3) uint8 RGB of the canvas, a new array. Grey 128 where there is no picture, and where a part of
        it was cut away.

    Raises:
        ValueError: The image is not of the size of the sample's source, or of another type.
    """
    view = sample.view
    width, height = view.source
    if image.shape != (height, width, 3) or image.dtype != np.uint8:
        raise ValueError(f"expected ({height}, {width}, 3) uint8 pixels, got {image.shape} {image.dtype}")
    if not len(view.region):
        pixels = np.full((view.height, view.width, 3), GREY, dtype=np.uint8)
    elif _is_copy(view.matrix):
        pixels = _copied(view, image)
    else:
        pixels = _warped(view, image)
    if view.hides_source:
        _hide_outside(pixels, view.region)
    for op in sample.pixel_ops:
        pixels = op(pixels)
    return pixels


def _is_copy(matrix: Matrix) -> bool:
    """Tell whether a matrix only mirrors and shifts by whole pixels."""
    (a, b, x), (c, d, y), (g, h, _) = matrix.tolist()
    upright = abs(a) == 1 and abs(d) == 1 and b == c == g == h == 0
    return bool(upright and abs(x - round(x)) < _WHOLE and abs(y - round(y)) < _WHOLE)


def _copied(view: View, image: np.ndarray) -> np.ndarray:
    pixels = np.full((view.height, view.width, 3), GREY, dtype=np.uint8)
    is_flipped_x, is_flipped_y = view.matrix[0, 0] < 0, view.matrix[1, 1] < 0
    to_x, from_x = _spans(is_flipped_x, view.matrix[0, 2], view.source[0], view.width)
    to_y, from_y = _spans(is_flipped_y, view.matrix[1, 2], view.source[1], view.height)
    block = image[from_y, from_x]
    if block.size and (is_flipped_x or is_flipped_y):
        block = cv2.flip(block, -1 if is_flipped_x and is_flipped_y else int(is_flipped_x))
    pixels[to_y, to_x] = block
    return pixels


def _spans(is_flipped: bool, shift: float, source: int, canvas: int) -> tuple[slice, slice]:
    """Return which pixels along one side of the canvas are filled, and with which of the source: x' = +-x + shift."""
    offset = round(shift)
    low = offset - source if is_flipped else offset  # where the source picture begins on the canvas
    start = min(max(low, 0), canvas)
    stop = max(min(low + source, canvas), start)
    return slice(start, stop), slice(offset - stop, offset - start) if is_flipped else slice(start - low, stop - low)


def _warped(view: View, image: np.ndarray) -> np.ndarray:
    seen = apply(invert(view.matrix), view.region)
    across, down = _local_scale(view.matrix, seen.mean(axis=0))
    left, top, right, bottom = _needed(seen, across, down, view.source)
    pixels, to_source = _filtered(image[top:bottom, left:right], across, down)
    matrix = compose(to_source, translation(left, top), view.matrix)
    centres = compose(translation(0.5, 0.5), matrix, translation(-0.5, -0.5))  # OpenCV counts from pixel centres
    is_affine = matrix[2].tolist() == [0.0, 0.0, 1.0]
    warp = partial(cv2.warpAffine, M=centres[:2]) if is_affine else partial(cv2.warpPerspective, M=centres)
    warped: np.ndarray = warp(
        cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA),  # OpenCV warps four channels in half the time of three
        dsize=(view.width, view.height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if _is_filled(view) else cv2.BORDER_CONSTANT,
        borderValue=(GREY,) * 4,
    )
    opaque: np.ndarray = cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)
    return opaque


def _local_scale(matrix: Matrix, point: Points) -> tuple[float, float]:
    """Return the length of a step to the right and of a step down the source picture on the canvas, at one place."""
    x, y, depth = (matrix @ (*point, 1.0)).tolist()
    steps = (matrix[:2, :2] - np.outer((x / depth, y / depth), matrix[2, :2])) / depth
    return float(np.hypot(*steps[:, 0])), float(np.hypot(*steps[:, 1]))


def _needed(seen: Points, across: float, down: float, source: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the window of the source picture (left, top, right, bottom) that the canvas and its filters look at."""
    margin = np.array([_reach(across), _reach(down)])
    low = np.clip(np.floor(seen.min(axis=0)) - margin, 0, np.array(source) - 1)
    high = np.clip(np.ceil(seen.max(axis=0)) + margin, low + 1, source)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _reach(scale: float) -> int:
    return 3 + math.ceil(3 / min(scale, 1.0))


def _is_filled(view: View) -> bool:
    """Tell whether the source picture covers the whole canvas; then nothing grey may mix in at the edges."""
    canvas = rectangle(view.width, view.height)
    if view.matrix[2].tolist() != [0.0, 0.0, 1.0]:
        return False
    corners = apply(invert(view.matrix), canvas)
    return bool((corners >= -_WHOLE).all() and (corners <= np.array(view.source) + _WHOLE).all())


def _filtered(image: np.ndarray, across: float, down: float) -> tuple[np.ndarray, Matrix]:
    """Take away what is too fine for the canvas.

    Args:
        image: (H, W, 3) uint8.
        across: Scale from the image to the canvas, x.
        down: The same, y.

    Returns:
        The image, averaged in blocks where it shrinks by much, and the matrix from its pixel edges to those of `image`.
    """
    blocks_x, blocks_y = _blocks(across), _blocks(down)
    if blocks_x * blocks_y > 1:
        height, width = image.shape[:2]
        image = cv2.copyMakeBorder(image, 0, -height % blocks_y, 0, -width % blocks_x, cv2.BORDER_REPLICATE)
        size = (image.shape[1] // blocks_x, image.shape[0] // blocks_y)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    kernel_x, kernel_y = _kernel(across * blocks_x), _kernel(down * blocks_y)
    if len(kernel_x) * len(kernel_y) > 1:
        image = cv2.sepFilter2D(image, -1, kernel_x, kernel_y, borderType=cv2.BORDER_REPLICATE)
    return image, scaling(blocks_x, blocks_y)


def _blocks(scale: float) -> int:
    return max(math.floor(1 / (_GAP * scale)), 1)


def _kernel(scale: float) -> np.ndarray:
    """Return the cubic kernel of a shrinking resize, an odd number of float32 weights with the sum 1."""
    if scale >= _PREFILTER_BELOW:
        return np.ones(1, dtype=np.float32)
    reach = math.ceil(2 / scale) - 1
    x = np.abs(np.arange(-reach, reach + 1) * scale)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x < 1, near, far)
    kernel: np.ndarray = (weights / weights.sum()).astype(np.float32)
    return kernel


def _hide_outside(pixels: np.ndarray, region: Points) -> None:
    """Make every pixel grey whose centre lies outside a convex region."""
    if not len(region):
        return
    height, width = pixels.shape[:2]
    starts, ends = _row_spans(region, height)
    first = np.clip(np.ceil(starts - 0.5 - _WHOLE), 0, width).astype(int).tolist()
    last = np.clip(np.floor(ends + 0.5 + _WHOLE), 0, width).astype(int).tolist()
    for row, (start, end) in enumerate(zip(first, last, strict=True)):
        if start > 0:
            pixels[row, :start] = GREY
        if end < width:
            pixels[row, max(start, end) :] = GREY


def _row_spans(region: Points, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return from where to where each row of pixel centres is inside a convex region; inf to -inf: nowhere."""
    rows = np.arange(height) + 0.5
    starts, ends = np.full(height, np.inf), np.full(height, -np.inf)
    for (x1, y1), (x2, y2) in zip(region.tolist(), np.roll(region, -1, axis=0).tolist(), strict=True):
        if y1 == y2:
            continue
        hit = (rows >= min(y1, y2)) & (rows <= max(y1, y2))
        x = x1 + (rows[hit] - y1) * ((x2 - x1) / (y2 - y1))
        starts[hit], ends[hit] = np.minimum(starts[hit], x), np.maximum(ends[hit], x)
    return starts, ends
