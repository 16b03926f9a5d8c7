"""Pictures that show no cabinet: pages, landscapes and charts, the demo's pool of irrelevant pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from qvl.data.scenes import HEIGHT, WIDTH

__all__ = ["paint_unrelated"]

_NOISE = 4.0
Motif = Callable[[ImageDraw.ImageDraw, np.random.Generator], None]


def paint_unrelated(rng: np.random.Generator) -> Image.Image:
    """Return an RGB picture of one of three motifs, as large as a scene.

    Args:
        rng: The picture's own generator.
    """
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (250, 250, 246))
    _MOTIFS[int(rng.integers(len(_MOTIFS)))](ImageDraw.Draw(canvas), rng)
    pixels = np.asarray(canvas, dtype=np.float64)
    noisy = pixels + rng.normal(0.0, _NOISE, pixels.shape)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def _page(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Lines of writing in paragraphs."""
    indent, ink = float(rng.uniform(12, 30)), int(rng.integers(30, 90))
    for y in range(int(rng.integers(10, 22)), HEIGHT - 8, 9):
        if rng.random() > 0.15:
            length = rng.uniform(0.5, 1.0) * (WIDTH - 2 * indent)
            draw.line([(indent, y), (indent + length, y)], fill=(ink, ink, ink), width=3)


def _landscape(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Sky, sun and hills."""
    draw.rectangle([(0, 0), (WIDTH, HEIGHT)], fill=(150, 190, int(rng.integers(225, 256))))
    x, y, radius = rng.uniform(20, WIDTH - 20), rng.uniform(18, 60), rng.uniform(10, 18)
    draw.ellipse([(x - radius, y - radius), (x + radius, y + radius)], fill=(255, 225, 120))
    for depth, green in ((95, 150), (130, 110)):
        ridge = [(left, depth + float(rng.uniform(-25, 25))) for left in range(0, WIDTH + 64, 64)]
        draw.polygon([(0, HEIGHT), *ridge, (WIDTH, HEIGHT)], fill=(60, green, 50))


def _chart(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Bars of one colour above a base line."""
    base, count = HEIGHT - 24, int(rng.integers(5, 10))
    color = (int(rng.integers(40, 230)), int(rng.integers(40, 120)), int(rng.integers(120, 230)))
    step = (WIDTH - 48) / count
    for number in range(count):
        left, height = 24 + number * step, rng.uniform(15, HEIGHT - 50)
        draw.rectangle([(left, base - height), (left + step * 0.6, base)], fill=color)
    draw.line([(20, base), (WIDTH - 20, base)], fill=(20, 20, 20), width=2)


_MOTIFS: Final[tuple[Motif, ...]] = (_page, _landscape, _chart)
