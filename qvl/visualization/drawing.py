"""Draws shapes with their names onto a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from PIL import Image, ImageColor, ImageDraw, ImageFont

from qvl.geometry import Polyline, Shape
from qvl.visualization.fonts import FontBook, default_font
from qvl.visualization.outline import Points, anchors, outline, visible_pieces

__all__ = ["Mark", "draw_marks", "readable_on"]

Rectangle = tuple[float, float, float, float]

_SCALE = 2  # everything is drawn twice as large and averaged down: smooth lines, at most a quarter of a pixel off
_CASING = "#101418"  # thin dark rim that sets a line off from a bright background
_MOST_ANCHORS = 12  # vertices of a shape that a tag may stand at
_BLACK, _WHITE = "#101418", "#ffffff"


@dataclass(frozen=True, slots=True)
class Mark:
    """One shape to draw.

    Attributes:
        shape: Where it is.
        color: Of the line and the tag, `#rrggbb`.
        number: Short text that is always written at the shape; the font has to know it.
        label: Longer text behind it, left out where no font has its characters or there is no room.
    """

    shape: Shape
    color: str
    number: str
    label: str = ""


def draw_marks(
    image: Image.Image,
    marks: Sequence[Mark],
    *,
    extent: tuple[float, float],
    line_width: int = 3,
    font_size: int = 15,
    fonts: FontBook | None = None,
) -> Image.Image:
    """Return a copy of a picture with shapes and tags; the pixels between them are untouched.

    A line runs along the edge that its coordinates say: half its width lies on either side. What lies outside the
    picture is cut off, and a shape that lies wholly outside is not drawn.

    Args:
        image: RGB picture.
        marks: Back to front; all tags lie above all shapes.
        extent: (width, height) of the picture in the units of the shapes: its size for pixels, (1000, 1000) for the
            grid.
        line_width: In pixels of the picture.
        font_size: In pixels of the picture.
        fonts: Where letters come from that Pillow's own font lacks; None for no others.
    """
    fonts = FontBook(()) if fonts is None else fonts
    size = (image.width * _SCALE, image.height * _SCALE)
    canvas = image.resize(size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(canvas)
    factors = np.array([size[0] / extent[0], size[1] / extent[1]])
    visible = []
    for mark in marks:
        pieces = visible_pieces(outline(mark.shape) * factors, size, margin=2.0 * line_width * _SCALE)
        for width, color in (((line_width + 2) * _SCALE, _CASING), (line_width * _SCALE, mark.color)):
            _draw_pieces(draw, pieces, color, width)
        visible += [(mark, pieces)] if pieces else []
    taken: list[Rectangle] = []
    for mark, pieces in visible:
        texts = _texts(mark, fonts, font_size * _SCALE)
        taken.append(_draw_tag(draw, mark, pieces, taken, texts))
    return canvas.reduce(_SCALE)


def readable_on(color: str) -> str:
    """Return black or white, whichever is read better on a colour given as `#rrggbb`."""
    red, green, blue = ImageColor.getrgb(color)[:3]
    return _BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else _WHITE


def _draw_pieces(draw: ImageDraw.ImageDraw, pieces: Sequence[Points], color: str, width: int) -> None:
    for piece in pieces:
        centers = [(round(x), round(y)) for x, y in (piece - 0.5).tolist()]  # Pillow draws through pixel centres
        if len(set(centers)) == 1:
            draw.circle(centers[0], width, fill=color)
            continue
        closing = centers[1:2] if centers[0] == centers[-1] else []  # so that the last corner is joined like the others
        draw.line([*centers, *closing], fill=color, width=width, joint="curve")


def _texts(mark: Mark, fonts: FontBook, font_size: int) -> list[tuple[str, ImageFont.FreeTypeFont]]:
    """Return what may be written at a shape, each with its font: number and label if it can be, then the number."""
    full = f"{mark.number} {mark.label}"
    font = fonts.font(full, font_size) if mark.label else None
    number = (mark.number, default_font(font_size))
    return [number] if font is None else [(full, font), number]


def _draw_tag(
    draw: ImageDraw.ImageDraw,
    mark: Mark,
    pieces: list[Points],
    taken: Sequence[Rectangle],
    texts: Sequence[tuple[str, ImageFont.FreeTypeFont]],
) -> Rectangle:
    """Write the first text that fits where nothing is written yet, or at least the last; return the tag's rectangle."""
    points = anchors(mark.shape, pieces, most=_MOST_ANCHORS)
    for text, font in texts:
        ascent, descent = font.getmetrics()
        pad = int(font.size) // 5
        width, height = font.getlength(text) + 2 * pad, float(ascent + descent)
        places = list(_places(points, width, height, draw.im.size))
        free = [place for place in places if not any(_touch(place, other) for other in taken)]
        if free:
            break
    clear = [place for place in free if not (isinstance(mark.shape, Polyline) and _hides(place, pieces))]
    place = (clear or free or places)[0]
    draw.rectangle(place, fill=mark.color)
    draw.text((place[0] + pad, place[1]), text, font=font, fill=readable_on(mark.color))
    return place


def _places(anchors: Points, width: float, height: float, size: tuple[int, int]) -> Iterator[Rectangle]:
    """Yield rectangles around the anchors, moved into the canvas: above first, then below, then to the left."""
    for shift_x, shift_y in ((0.0, -height), (0.0, 0.0), (-width, -height), (-width, 0.0)):
        for x, y in anchors.tolist():
            left = min(max(x + shift_x, 0.0), max(size[0] - width, 0.0))
            top = min(max(y + shift_y, 0.0), max(size[1] - height, 0.0))
            yield (left, top, left + width, top + height)


def _hides(place: Rectangle, pieces: Sequence[Points]) -> bool:
    """Whether a rectangle covers a part of a line, more than a point on its rim."""
    rectangle, lines = shapely.box(*place), shapely.multilinestrings(list(pieces))
    return bool(rectangle.intersects(lines)) and not bool(rectangle.touches(lines))


def _touch(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
