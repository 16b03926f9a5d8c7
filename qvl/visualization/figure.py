"""A panel as HTML: the picture, its shapes as SVG above it, tags above these, and the list of its objects."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from qvl.geometry import Polyline
from qvl.visualization.card import Item, Panel
from qvl.visualization.drawing import readable_on
from qvl.visualization.markup import escape
from qvl.visualization.outline import Points, anchors, outline, visible_pieces

__all__ = ["render_panel"]

MAX_SIDE = 960  # of a picture whose pixels need not be exact
JPEG_QUALITY, EXACT_QUALITY = 84, 95
MOST_ANCHORS = 6  # places of a tag that the page may choose from
MARGIN = 60.0  # pixels of a line that are kept beyond the edge of the picture


def render_panel(panel: Panel, *, alt: str, facets: Sequence[str], image_id: str, is_new: bool) -> str:
    """Return a panel.

    Args:
        panel: What to show.
        alt: What the picture shows, for who does not see it.
        facets: Names of what items can be filtered by, in the order of the page's filters.
        image_id: Name of the picture in the page.
        is_new: Whether the page does not hold the picture yet.
    """
    numbered = list(enumerate(panel.items, 1))
    figure = "" if panel.image is None else _figure(panel, panel.image, alt=alt, image_id=image_id, is_new=is_new)
    text = f'<pre class="line">{escape(panel.text)}</pre>\n' if panel.text else ""
    kinds = ["panel", *["exact"] * panel.exact, *["words"] * (panel.image is None)]
    return f"""\
<div class="{" ".join(kinds)}">
<h3>{escape(panel.heading)} <small>{escape(panel.remark)}</small></h3>
{figure}{text}{_list(panel, numbered, facets)}
</div>"""


def _figure(panel: Panel, picture: Image.Image, *, alt: str, image_id: str, is_new: bool) -> str:
    """Return the picture with its shapes and tags."""
    size = _size(picture, exact=panel.exact)
    seen = [(number, item, _pieces(item, panel.extent, size)) for number, item in enumerate(panel.items, 1)]
    shown = [(number, item, pieces) for number, item, pieces in seen if pieces]
    by_size = sorted(shown, key=lambda entry: -_extent(entry[2]))  # what is small lies above
    shapes = "".join(_shape(number, item, pieces) for number, item, pieces in by_size)
    tags = "".join(_tag(number, item, pieces, size) for number, item, pieces in shown)
    place = f'width="{size[0]}" height="{size[1]}"'
    data = _data(picture, size, exact=panel.exact) if is_new else ""
    image = f'<image id="{image_id}" {place} href="{data}"/>' if is_new else f'<use href="#{image_id}"/>'
    return f"""\
<figure style="--r:{size[0] / size[1]:.6g}">\
<svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(alt)}">{image}{shapes}</svg>{tags}</figure>
"""


def _size(image: Image.Image, *, exact: bool) -> tuple[int, int]:
    """Return (width, height) in pixels of the picture in the page."""
    width, height = image.size
    factor = 1.0 if exact else min(1.0, MAX_SIDE / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _data(image: Image.Image, size: tuple[int, int], *, exact: bool) -> str:
    image = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    quality = EXACT_QUALITY if exact else JPEG_QUALITY
    image.save(buffer, format="JPEG", quality=quality, subsampling=0 if exact else "4:2:0")
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _pieces(item: Item, extent: tuple[float, float], size: tuple[int, int]) -> list[Points]:
    if item.shape is None:
        return []
    return visible_pieces(outline(item.shape) * (np.array(size) / extent), size, margin=MARGIN)


def _extent(pieces: Sequence[Points]) -> float:
    points = np.concatenate(pieces)
    return float(np.prod(points.max(axis=0) - points.min(axis=0)))


def _shape(number: int, item: Item, pieces: Sequence[Points]) -> str:
    """Return a shape twice: a dark rim, and the line above it."""
    way = "".join(_way(piece) for piece in pieces)
    kind = ' class="open"' if isinstance(item.shape, Polyline) else ""
    return f'<g data-n="{number}"{kind} style="--c:{item.color}"><path d="{way}"/><path d="{way}"/></g>'


def _way(points: Points) -> str:
    ring = len(points) > 2 and (points[0] == points[-1]).all()
    if len(points) == 2 and (points[0] == points[1]).all():
        return f"M{_number(points[0, 0])} {_number(points[0, 1])}h0"  # a dot, by its round ends
    steps = " ".join(f"{_number(x)} {_number(y)}" for x, y in (points[:-1] if ring else points).tolist())
    return f"M{steps}{'Z' if ring else ''}"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _tag(number: int, item: Item, pieces: list[Points], size: tuple[int, int]) -> str:
    """Return number and name; the page moves them to where there is room."""
    assert item.shape is not None  # it has pieces
    places = np.clip(anchors(item.shape, pieces, most=MOST_ANCHORS) / np.array(size) * 100, 0, 100).round(2).tolist()
    told = " ".join(f"{_number(x)},{_number(y)}" for x, y in places)
    style = (
        f"--c:{item.color};--on:{readable_on(item.color)};left:{_number(places[0][0])}%;top:{_number(places[0][1])}%"
    )
    name = f"<bdi>{escape(item.name)}</bdi>" if item.name else ""
    full = f' data-full="{escape(item.desc)}"' if item.desc else ""
    return f'<span class="tag" data-n="{number}" data-at="{told}"{full} style="{style}">{number}{name}</span>'


def _list(panel: Panel, numbered: Sequence[tuple[int, Item]], facets: Sequence[str]) -> str:
    if not panel.listed or (panel.text and not numbered):
        return ""
    if not numbered:
        return '<p class="empty">no objects</p>'
    items = "".join(_entry(number, item, facets) for number, item in numbered)
    listed = f"<ol>{items}</ol>"
    if not panel.folded:
        return listed
    count = f"{len(numbered)} object{'s' if len(numbered) > 1 else ''}"
    return f"<details><summary>{count}</summary>{listed}</details>"


def _entry(number: int, item: Item, facets: Sequence[str]) -> str:
    parts = [f'<bdi class="desc">{escape(item.desc)}</bdi>', *_remarks(item)]
    chip = f'<b class="chip" style="--c:{item.color};--on:{readable_on(item.color)}">{number}</b>'
    values = "".join(_facet(index, item.facets, name) for index, name in enumerate(facets))
    return f'<li data-n="{number}"{values}>{chip}<div>{" ".join(parts)}</div></li>'


def _remarks(item: Item) -> Iterator[str]:
    if item.note or item.stress:
        stress = f' <b class="differs">{escape(item.stress)}</b>' if item.stress else ""
        yield f"<span>{escape(item.note)}{stress}</span>"
    if item.numbers:
        yield f"<code>{escape(item.numbers)}</code>"


def _facet(index: int, facets: Mapping[str, str], name: str) -> str:
    return f' data-f{index}="{escape(facets[name])}"' if name in facets else ""
