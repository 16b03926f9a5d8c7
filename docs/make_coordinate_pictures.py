"""Writes docs/images/coordinates_*.png: edges, grid, canonical form and EXIF, with the numbers that qvl computes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from qvl.conversion.frame import upright_matrix
from qvl.geometry import Box, Polygon, Polyline, Shape, canonical, mirror_x, to_grid, transform
from qvl.visualization import default_font

FOLDER = Path(__file__).parent / "images"

# Twice the size at which GitHub shows it.
PAGE, INK, FAINT, RULE = "#ffffff", "#1f2430", "#6b7280", "#c9ced6"
OBJECT, SHAPE, OTHER = "#ffd98a", "#d4006a", "#0067c5"  # an object, a shape, a second one
SKY, GROUND, HOUSE, ROOF = "#dcebf7", "#cfe3c2", "#f0c987", "#b5523b"
FONT, SMALL = 30, 25
LINE = 6
_FINE = 2  # everything is drawn twice as large and averaged down

Point = tuple[float, float]


@dataclass
class Panel:
    """A rectangle of the page with numbers of its own.

    Attributes:
        draw: Of a page that is `_FINE` times too large.
        left: Of the number 0, in pixels of the page.
        top: Of the number 0, in pixels of the page.
        scale: Pixels of the page for 1, across and down.
    """

    draw: ImageDraw.ImageDraw
    left: float
    top: float
    scale: Point = field(default=(1.0, 1.0))

    def at(self, point: Sequence[float], shift: Point = (0, 0)) -> Point:
        """Return the place of a point on the large page; `shift` is in pixels of the page."""
        x = self.left + point[0] * self.scale[0] + shift[0]
        y = self.top + point[1] * self.scale[1] + shift[1]
        return x * _FINE, y * _FINE

    def area(self, points: Sequence[Sequence[float]], color: str) -> None:
        self.draw.polygon([self.at(point) for point in points], fill=color)

    def line(self, points: Sequence[Sequence[float]], color: str, width: int = LINE) -> None:
        self.draw.line([self.at(point) for point in points], fill=color, width=width * _FINE, joint="curve")

    def box(self, numbers: Sequence[float], color: str, *, fill: str | None = None, width: int = LINE) -> None:
        x1, y1, x2, y2 = numbers
        corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
        if fill:
            self.area(corners, fill)
        self.line([*corners, corners[1]], color, width)

    def text(self, point: Sequence[float], text: str, color: str = INK, **place: object) -> None:
        """Write at a point: `shift` in pixels of the page, `anchor` as Pillow has it, `size` of the font."""
        shift, anchor, size = place.get("shift", (0, 0)), str(place.get("anchor", "mm")), place.get("size", FONT)
        assert isinstance(shift, tuple)
        assert isinstance(size, int)
        self.draw.text(self.at(point, shift), text, font=default_font(size * _FINE), fill=color, anchor=anchor)

    def arrow(self, start: Sequence[float], end: Sequence[float], color: str) -> None:
        """Draw the head of an arrow in the middle of an edge."""
        (x1, y1), (x2, y2) = self.at(start), self.at(end)
        turn, size = math.atan2(y2 - y1, x2 - x1), 22 * _FINE
        middle = ((x1 + x2) / 2 + size / 2 * math.cos(turn), (y1 + y2) / 2 + size / 2 * math.sin(turn))
        wings = [
            (middle[0] - size * math.cos(turn + side), middle[1] - size * math.sin(turn + side)) for side in (-0.5, 0.5)
        ]
        self.draw.polygon([middle, *wings], fill=color)

    def dot(self, point: Sequence[float], text: str, color: str) -> None:
        x, y = self.at(point)
        radius = 21 * _FINE
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
        self.text(point, text, PAGE, size=SMALL)


def main() -> None:
    """Write all pictures."""
    for name, draw in PICTURES.items():
        image = draw().quantize(64, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        image.save(FOLDER / f"coordinates_{name}.png", optimize=True)


def edges() -> Image.Image:
    """A picture of 8 x 5 pixels with an object of 4 x 3, and its mirror image."""
    page, draw = _page(1640, 640)
    box = Box(1, 1, 5, 4)
    mirrored = transform(box, mirror_x(8))
    for left, shape, title in ((80, box, "8 x 5 pixels"), (900, mirrored, "mirrored: x becomes 8 - x")):
        panel = Panel(draw, left, 130, (80, 80))
        panel.box(shape.flat(), OBJECT, fill=OBJECT)
        for x in range(9):
            panel.line([(x, 0), (x, 5)], RULE, 2)
            panel.text((x, 0), str(x), FAINT, shift=(0, -24), size=SMALL)
        for y in range(6):
            panel.line([(0, y), (8, y)], RULE, 2)
            panel.text((0, y), str(y), FAINT, shift=(-24, 0), size=SMALL)
        panel.box(shape.flat(), SHAPE)
        panel.text((0, 0), title, shift=(0, -80), anchor="lm")
        panel.text((4, 5), f'"bbox_2d": {_numbers(shape.flat())}', SHAPE, shift=(0, 50))
    return _shrunk(page)


def grid() -> Image.Image:
    """A box in a picture of 640 x 400 pixels, and on the grid of the answer."""
    page, draw = _page(1640, 720)
    numbers = (160.0, 100.0, 400.0, 300.0)
    on_grid = to_grid(numbers, width=640, height=400, grid=1000)
    for left, size, factor, values, title in (
        (80, (640, 400), (1.15, 1.15), numbers, "the row, in pixels"),
        (1010, (1000, 1000), (0.5, 0.5), on_grid, "the answer, norm1000"),
    ):
        panel = Panel(draw, left, 120, factor)
        panel.box((0, 0, *size), RULE, fill="#f4f6f9", width=3)
        panel.box(values, SHAPE, fill=OBJECT)
        panel.text((0, 0), "0, 0", FAINT, shift=(-2, -22), anchor="lm", size=SMALL)
        panel.text((size[0], 0), str(size[0]), FAINT, shift=(0, -22), size=SMALL)
        panel.text((0, size[1]), str(size[1]), FAINT, shift=(-10, 0), anchor="rm", size=SMALL)
        panel.text((0, 0), title, shift=(0, -72), anchor="lm")
        panel.text((size[0] / 2, size[1]), f'"bbox_2d": {_numbers(values)}', SHAPE, shift=(0, 50))
    return _shrunk(page)


def canonical_form() -> Image.Image:
    """A polygon and a line as they were clicked, and as they are written."""
    page, draw = _page(1640, 700)
    clicked: tuple[Shape, Shape] = (
        Polygon(np.array([(300.0, 320.0), (470.0, 240.0), (400.0, 60.0), (150.0, 60.0), (60.0, 250.0)])),
        Polyline(np.array([(600.0, 380.0), (400.0, 440.0), (220.0, 400.0), (60.0, 460.0)])),
    )
    for left, title, shapes in (
        (60, "as it was clicked", clicked),
        (860, "canonical form", tuple(map(canonical, clicked))),
    ):
        panel = Panel(draw, left, 120)
        panel.text((0, 0), title, shift=(0, -70), anchor="lm")
        for shape, color, is_closed in zip(shapes, (SHAPE, OTHER), (True, False), strict=True):
            points = np.array(shape.flat()).reshape(-1, 2).tolist()
            way = [*points, points[0]] if is_closed else points
            if is_closed:
                panel.area(points, OBJECT)
            panel.line(way, color)
            for start, end in itertools.pairwise(way):
                panel.arrow(start, end, color)
            for number, point in enumerate(points, 1):
                panel.dot(point, str(number), color)
        panel.text((0, 540), f'"poly": {_numbers(shapes[0].flat())}', SHAPE, anchor="lm", size=SMALL)
    return _shrunk(page)


def exif() -> Image.Image:
    """A picture as it is stored, and as it is seen after its EXIF orientation was applied."""
    page, draw = _page(1640, 690)
    raw, orientation = (480, 320), 6
    stored = Box(190, 70, 370, 250)
    upright = upright_matrix(orientation, *raw)
    for left, title, size, matrix in (
        (80, "stored: 480 x 320, orientation 6", raw, np.eye(3)),
        (1000, "upright: 320 x 480", raw[::-1], upright),
    ):
        panel = Panel(draw, left, 110)
        for color, points in _scene():
            panel.area(transform(Polygon(np.array(points)), matrix).points.tolist(), color)
        panel.box((0, 0, *size), RULE, width=3)
        shape = transform(stored, matrix)
        panel.box(shape.flat(), SHAPE)
        panel.text((0, 0), title, shift=(0, -60), anchor="lm")
        text = f'"bbox_2d": {_numbers(shape.flat())}'
        panel.text((0, size[1]), text, SHAPE, shift=(0, 44), anchor="lm")
        panel.text((0, 0), "0, 0", FAINT, shift=(0, -20), anchor="lm", size=SMALL)
    return _shrunk(page)


PICTURES: Mapping[str, Callable[[], Image.Image]] = {
    "edges": edges,
    "grid": grid,
    "canonical": canonical_form,
    "exif": exif,
}


def _page(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    page = Image.new("RGB", (width * _FINE, height * _FINE), PAGE)
    return page, ImageDraw.Draw(page)


def _shrunk(page: Image.Image) -> Image.Image:
    return page.reduce(_FINE)


def _scene() -> list[tuple[str, list[list[float]]]]:
    """Return areas of a house as a camera stores it that was held on its side: its top points to the left."""
    return [
        (SKY, [[0, 0], [480, 0], [480, 320], [0, 320]]),
        (GROUND, [[370, 0], [480, 0], [480, 320], [370, 320]]),
        (HOUSE, [[270, 70], [370, 70], [370, 250], [270, 250]]),
        (ROOF, [[270, 70], [190, 160], [270, 250]]),
        (INK, [[310, 190], [370, 190], [370, 225], [310, 225]]),
    ]


def _numbers(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"


if __name__ == "__main__":
    main()
