"""A gallery holds every picture once, shows text as text, and needs nothing else."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from qvl.geometry import Box, Polygon, Polyline, Shape
from qvl.visualization import Card, Item, Layout, Palette, Panel, list_numbers, render_gallery

VOID = {"meta", "img", "input", "image", "use", "path"}
EVIL = '</pre></script><script src="https://example.org/x.js"></script><img onerror=alert(1)>\x00\x1b & "\''


class Page(HTMLParser):
    """Checks that tags are closed in order and gathers attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [] if tag in VOID else [tag]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == tag]


def item(shape: Shape | None, desc: str = "type=psu", color: str = "#ff0000") -> Item:
    return Item(desc, "psu", color, shape, facets={"category": "psu"})


def card(*panels: Panel, name: str = "a.png") -> Card:
    return Card("line 1", name, "val.jsonl:1", panels, facets={"fault": ["none"]}, orders={"objects": 1})


def panel(*items: Item, image: Image.Image | None = None, exact: bool = False) -> Panel:
    return Panel("Original", "", image or Image.new("RGB", (64, 48)), (64, 48), items, exact=exact)


def rendered(*cards: Card) -> str:
    layout = Layout("rows", item_facets=("category",), card_facets=("fault",), orders=("objects",), legend="category")
    return render_gallery(iter(cards), layout)


def pictures(page: str) -> list[Image.Image]:
    data = re.findall(r'href="data:image/jpeg;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in data]


def test_a_picture_that_two_panels_share_is_inside_once() -> None:
    image = Image.new("RGB", (64, 48))
    page = rendered(card(panel(image=image), panel(image=image), panel()), card(panel()))
    assert len(pictures(page)) == 3
    parsed = Page(page)
    names = [one["id"] for one in parsed.all("image")]
    assert len(set(names)) == 3
    assert [one["href"] for one in parsed.all("use")] == [f"#{names[0]}"]


def test_nothing_is_asked_for_and_only_the_own_script_runs() -> None:
    page = rendered(card(panel(item(Box(1, 1, 9, 9)))))
    parsed = Page(page)
    (policy,) = [meta["content"] or "" for meta in parsed.all("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    assert {tag for tag, _ in parsed.tags}.isdisjoint({"link", "iframe", "object", "embed", "form", "base"})
    assert len(parsed.all("script")) == 1
    assert not re.search(r"https?://|url\(|@import", page)


def test_text_of_a_stranger_is_never_markup() -> None:
    evil = Item(EVIL, EVIL, "#ff0000", Box(1, 1, 9, 9), EVIL, EVIL, EVIL, {"category": EVIL})
    strange = Card(EVIL, EVIL, EVIL, [panel(evil)], [(EVIL, EVIL, EVIL)], [(EVIL, EVIL)], {"fault": [EVIL]})
    parsed = Page(rendered(strange, card(panel())))
    assert len(parsed.all("script")) == 1
    assert parsed.all("img") == []
    assert all("onerror" not in attributes for _, attributes in parsed.tags)


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        (Box(1, 2, 9, 8), "M1 2 9 2 9 8 1 8Z"),
        (Polygon(np.array([[0, 0], [64, 0], [32, 48.125]])), "M0 0 64 0 32 48.12Z"),
        (Polyline(np.array([[0, 0], [10, 5]])), "M0 0 10 5"),
        (Polyline(np.array([[7, 7], [7, 7]])), "M7 7h0"),
    ],
)
def test_a_shape_is_drawn_where_its_coordinates_say(shape: Shape, way: str) -> None:
    assert f'<path d="{way}"/>' in rendered(card(panel(item(shape))))


@pytest.mark.parametrize("shape", [None, Box(100, 10, 140, 20), Box(-1e9, -1e9, 1e9, 1e9)])
def test_what_cannot_be_seen_is_listed_and_not_drawn(shape: Shape | None) -> None:
    parsed = Page(rendered(card(panel(item(shape)))))
    assert parsed.all("g") == []
    assert len(parsed.all("li")) == 1


def test_no_coordinate_of_a_model_reaches_far_beyond_the_picture() -> None:
    page = rendered(card(panel(item(Polyline(np.array([[-1e9, 24], [1e9, 24]]))))))
    numbers = [float(text) for way in re.findall(r'<path d="M([^"hZ]+)', page) for text in way.split()]
    assert len(numbers) == 8
    assert max(map(abs, numbers)) < 200


def test_a_large_picture_is_made_smaller_unless_its_pixels_matter() -> None:
    large = Image.new("RGB", (1200, 2400))
    for exact, size in ((False, (480, 960)), (True, (1200, 2400))):
        (image,) = pictures(rendered(card(panel(image=large, exact=exact))))
        assert image.size == size


def test_small_shapes_lie_above_large_ones() -> None:
    page = rendered(card(panel(item(Box(1, 1, 9, 9), color="#00ff00"), item(Box(0, 0, 60, 40), color="#0000ff"))))
    assert page.index('<g data-n="2"') < page.index('<g data-n="1"')


def test_a_filter_with_one_choice_is_left_out() -> None:
    ids = {one.get("id") for one in Page(rendered(card(panel(item(Box(1, 1, 9, 9)))))).all("select")}
    assert ids == {"order", "labels"}


def test_numbers_are_rounded_and_cut_off() -> None:
    assert list_numbers("bbox_2d", (1, 2.25, 3.96, 4.0)) == "bbox_2d [1, 2.2, 4, 4]"
    assert list_numbers("poly", range(40)).endswith("10, 11, ... (40 numbers)]")


def test_every_name_keeps_a_color_of_its_own() -> None:
    palette = Palette()
    colors = [palette.color(str(number)) for number in range(60)]
    assert len(set(colors)) == 60
    assert colors == [palette.color(str(number)) for number in range(60)]
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors)
