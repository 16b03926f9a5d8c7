"""Paint a layout: antialiased shapes whose edges lie where the annotation says."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from qvl.data.scenes import Layout, Part

__all__ = ["paint"]

_SCALE = 4
_LINE_WIDTH = 6.0
_LAMP = {"on": (120, 255, 120), "off": (30, 40, 30), "red": (220, 60, 50), "black": (20, 20, 25)}


def paint(layout: Layout, rng: np.random.Generator) -> Image.Image:
    """Return the RGB picture of a layout.

    Shapes are drawn four times larger and averaged down, so an edge at x = 10.25 covers a quarter of pixel 10.

    Args:
        layout: What to paint, back to front.
        rng: Draws the pixel noise.
    """
    size = (layout.width * _SCALE, layout.height * _SCALE)
    canvas = Image.new("RGB", size, (layout.wall,) * 3)
    draw = ImageDraw.Draw(canvas)
    for part in layout.parts:
        _paint_part(draw, part)
    pixels = np.asarray(canvas.reduce(_SCALE), dtype=np.float64)
    noisy = pixels + rng.normal(0.0, layout.noise, pixels.shape)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def _paint_part(draw: ImageDraw.ImageDraw, part: Part) -> None:
    match part.kind:
        case "device":
            _polygon(draw, part.points, part.color)
            _lamp(draw, part)
        case "label":
            _polygon(draw, part.points, part.color)
            _strokes(draw, part.points)
        case "screw":
            _screw(draw, part)
        case "cable":
            _line(draw, part.points, part.color)


def _pixels(points: np.ndarray) -> list[tuple[float, float]]:
    """Edges of the small canvas as pixel centres of the large one (Pillow draws through centres)."""
    return [(float(x) * _SCALE - 0.5, float(y) * _SCALE - 0.5) for x, y in points]


def _polygon(draw: ImageDraw.ImageDraw, points: np.ndarray, color: tuple[int, int, int]) -> None:
    draw.polygon(_pixels(points), fill=color)


def _line(draw: ImageDraw.ImageDraw, points: np.ndarray, color: tuple[int, int, int]) -> None:
    draw.line(_pixels(points), fill=color, width=round(_LINE_WIDTH * _SCALE), joint="curve")


def _lamp(draw: ImageDraw.ImageDraw, part: Part) -> None:
    x, y = part.points.min(axis=0) + (7.0, 6.0)
    draw.rectangle(_pixels(np.array([[x, y], [x + 10.0, y + 10.0]])), fill=_LAMP[part.mark])


def _strokes(draw: ImageDraw.ImageDraw, points: np.ndarray) -> None:
    """Two lines of writing on a label."""
    left, right = points[[0, 3]].mean(axis=0), points[[1, 2]].mean(axis=0)
    for shift in (-2.5, 2.5):
        ends = np.array([left + (4.0, shift), right + (-4.0, shift)])
        draw.line(_pixels(ends), fill=(70, 60, 50), width=_SCALE)


def _screw(draw: ImageDraw.ImageDraw, part: Part) -> None:
    (x1, y1), (x2, y2) = part.points
    draw.ellipse(_pixels(np.array([[x1, y1], [x2, y2]])), fill=part.color)
    middle = (y1 + y2) / 2.0
    draw.line(_pixels(np.array([[x1 + 4.0, middle], [x2 - 4.0, middle]])), fill=(170, 170, 175), width=2 * _SCALE)
