"""What a gallery does in a real browser, opened from the disk without a network."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qvl.conversation import TextObject
from qvl.evaluation import Prediction
from qvl.geometry import Box, Polygon, Polyline, Shape
from qvl.records import Source
from qvl.visualization import Card, Item, Layout, Panel, evaluation_page, judge, render_gallery

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
GREY, RED, GREEN, BLUE = (90, 90, 90), (255, 0, 0), (0, 255, 0), (0, 0, 255)
LEFT, RIGHT = (100, 100, 300, 300), (600, 600, 800, 800)
LAYOUT = Layout("rows", item_facets=("category", "outcome"), card_facets=("fault",), orders=("F1",), legend="category")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@dataclass
class Opened:
    """A page in the browser and what it said."""

    page: Any
    said: list[str] = field(default_factory=list)

    def shown(self) -> list[str]:
        found: list[str] = self.page.evaluate("[...document.querySelectorAll('section:not([hidden])')].map(x => x.id)")
        return found

    def pixels(self, selector: str) -> np.ndarray:
        png = self.page.locator(selector).first.screenshot()
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)

    def count(self, selector: str) -> int:
        return int(self.page.locator(f"{selector}:visible").count())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Open cards as a page; in the end nothing has been asked for or complained of."""
    said: list[str] = []
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url[:5] not in ("data:", "file:") else None)

    def open_cards(*cards: Card, layout: Layout = LAYOUT) -> Opened:
        path = tmp_path / "页 1.html"
        path.write_text(render_gallery(cards, layout), encoding="utf-8")
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('figure').dataset.placed")
        return Opened(page, said)

    yield open_cards
    page.close()
    assert said == []


def item(shape: Shape, category: str = "psu", *, color: str = "#ff0000", outcome: str = "matched") -> Item:
    facets = {"category": category, "outcome": outcome}
    return Item(f"type={category},state=ok", category, color, shape, facets=facets)


def card(*items: Item, name: str = "a.png", score: float = 0.5, panels: int = 1, fault: str = "none") -> Card:
    image = Image.new("RGB", (64, 48), GREY)
    sides = [Panel(f"side {number}", "", image, (64, 48), items) for number in range(panels)]
    return Card("card", name, "rows.jsonl:1", sides, facets={"fault": [fault]}, orders={"F1": score})


def near(pixels: np.ndarray, color: tuple[int, int, int], x: float, y: float) -> bool:
    """Whether a place, given as shares of the sides, or a pixel beside it has a colour."""
    height, width = pixels.shape[:2]
    left, top = round(x * width), round(y * height)
    around = pixels[max(top - 1, 0) : top + 2, max(left - 1, 0) : left + 2]
    return bool((np.abs(around - color) < 40).all(axis=-1).any())


def test_shapes_and_the_shared_picture_are_seen_in_every_panel(opened: Any) -> None:
    shapes = [
        item(Box(16, 12, 48, 36)),
        item(Polyline(np.array([[4, 44], [60, 44]])), color="#00ff00"),
        item(Polygon(np.array([[52, 2], [62, 2], [62, 10]])), color="#0000ff"),
    ]
    page = opened(card(*shapes, panels=2))
    for number in (0, 1):
        pixels = page.pixels(f"figure >> nth={number}")
        assert all(near(pixels, RED, x, y) for x, y in ((0.25, 0.5), (0.75, 0.5), (0.5, 0.75)))
        assert near(pixels, GREEN, 0.5, 44 / 48)
        assert near(pixels, BLUE, 62 / 64, 6 / 48)
        assert near(pixels, GREY, 0.5, 0.5)


def test_the_search_takes_words_of_any_script_in_any_order(opened: Any) -> None:
    page = opened(
        card(item(Box(1, 1, 9, 9), "机柜"), name="first.png"),
        card(item(Box(1, 1, 9, 9), "cable"), name="second.png"),
        card(item(Box(1, 1, 9, 9), "cable"), name="third.png", fault="truncated"),
    )
    for words, found in {
        "机柜": ["p1"],
        "CABLE second": ["p2"],
        "ｃａｂｌｅ": ["p2", "p3"],
        "cable -third": ["p2"],
        "gone": [],
        "": ["p1", "p2", "p3"],
    }.items():
        page.page.fill("#search", words)
        assert page.shown() == found, words
        assert page.page.inner_text("#count") == f"{len(found)} of 3"
        assert page.page.locator("#none").is_visible() == (not found)


def test_filters_of_objects_have_to_hold_for_one_object(opened: Any) -> None:
    both = card(item(Box(1, 1, 9, 9), "psu"), item(Box(20, 20, 40, 40), "cable", outcome="missed"))
    other = card(item(Box(1, 1, 9, 9), "psu", outcome="missed"))
    page = opened(both, other)
    page.page.select_option("#f1", "missed")
    assert page.shown() == ["p1", "p2"]
    page.page.select_option("#f0", "psu")
    assert page.shown() == ["p2"]
    page.page.click("#clear")
    assert page.shown() == ["p1", "p2"]


def test_what_a_filter_does_not_want_steps_back(opened: Any) -> None:
    page = opened(card(item(Box(4, 4, 20, 20)), item(Box(40, 20, 60, 40), "cable", color="#0000ff")))
    assert near(page.pixels("figure"), RED, 4 / 64, 12 / 48)
    page.page.click(".legend button[value=cable]")
    pixels = page.pixels("figure")
    assert not near(pixels, RED, 4 / 64, 12 / 48)
    assert near(pixels, BLUE, 40 / 64, 30 / 48)
    assert page.count(".tag") == 1
    page.page.click(".legend button[value=cable]")
    assert page.count(".tag") == 2


def test_cards_are_filtered_by_their_faults_and_sorted(opened: Any) -> None:
    scores = (0.5, 0.1, 0.9)
    page = opened(*(card(item(Box(1, 1, 9, 9)), score=score, fault=f"at {score}") for score in scores))
    page.page.select_option("#order", "0,1")
    assert page.shown() == ["p3", "p1", "p2"]
    page.page.select_option("#order", "0,0")
    assert page.shown() == ["p2", "p1", "p3"]
    page.page.select_option("#g0", "at 0.9")
    assert page.shown() == ["p3"]


def test_cards_that_lack_a_number_come_last_in_both_directions(opened: Any) -> None:
    cards = [card(item(Box(1, 1, 9, 9)), score=score) for score in (0.5, -2.0, 0.9)]
    page = opened(replace(card(item(Box(1, 1, 9, 9))), orders={}), *cards)
    page.page.select_option("#order", "0,1")
    assert page.shown() == ["p4", "p2", "p3", "p1"]
    page.page.select_option("#order", "0,0")
    assert page.shown() == ["p3", "p2", "p4", "p1"]
    page.page.select_option("#order", "")
    assert page.shown() == ["p1", "p2", "p3", "p4"]


def test_a_click_on_what_all_objects_are_changes_nothing(opened: Any) -> None:
    page = opened(card(item(Box(1, 1, 9, 9), "psu")), card(item(Box(1, 1, 9, 9), "psu")))
    page.page.click(".legend button")
    assert page.shown() == ["p1", "p2"]


def predicted(folder: Path, number: int, *boxes: tuple[int, int, int, int], reason: str = "stop") -> Prediction:
    """Return a row about a picture with two objects."""
    path = folder / f"{number}.png"
    Image.new("RGB", (64, 48), GREY).save(path)
    truth, said = (tuple(TextObject("type=psu", "bbox_2d", place) for place in side) for side in ((LEFT, RIGHT), boxes))
    scores = tuple(-0.1 * number for _ in boxes)
    return Prediction(
        Source("p.jsonl", number), str(path), "v", 64, 48, truth, said, (), "", reason, scores, error=None
    )


def test_failures_and_a_comparison_can_be_asked_for(opened: Any, tmp_path: Path) -> None:
    this = [predicted(tmp_path, 1, LEFT, LEFT), predicted(tmp_path, 2, reason="length"), predicted(tmp_path, 3, RIGHT)]
    other = [predicted(tmp_path, 1, LEFT), predicted(tmp_path, 2, RIGHT), predicted(tmp_path, 3, LEFT, RIGHT)]
    page = evaluation_page(judge(this), title="run", other=judge(other))
    there = opened(*page.cards, layout=page.layout)
    names = {"p1": "2.png", "p2": "3.png", "p3": "1.png"}
    assert [there.page.inner_text(f"#{one} h2 span") for one in there.shown()] == list(names.values())
    assert there.page.locator("#p1 .panel").count() == 3
    failure = f"#g{page.layout.card_facets.index('failure')}"
    for kind, found in {"truncated": ["p1"], "silent": ["p1"], "duplicate": ["p3"], "none": ["p2"]}.items():
        there.page.select_option(failure, kind)
        assert there.shown() == found, kind
    there.page.click("#clear")
    there.page.select_option(f"#f{page.layout.item_facets.index('found by')}", "only other")
    assert there.shown() == ["p1", "p2"]
    there.page.click("#clear")
    orders = {"F1": ["p1", "p3", "p2"], "duplicates": ["p1", "p2", "p3"], "lowest score": ["p2", "p3", "p1"]}
    for name, order in orders.items():
        there.page.select_option("#order", f"{page.layout.orders.index(name)},0")
        assert there.shown() == order, name


def test_a_summary_stands_beside_what_was_said(opened: Any, tmp_path: Path) -> None:
    annotated, said = ('{"统计": [{"类别": "机柜"}]}', '{"统计": [{"类别": "风扇"}]}')
    row = replace(predicted(tmp_path, 1), truth=(), summary=(annotated, said))
    page = evaluation_page(judge([row]), title="run")
    there = opened(*page.cards, layout=page.layout)
    assert there.page.locator("figure").count() == 1
    boxes = [there.page.locator(f".panel >> nth={number}").bounding_box() for number in (1, 2)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] < boxes[1]["x"]
    assert [there.page.inner_text(f"pre.line >> nth={number}") for number in (0, 1)] == [annotated, said]
    there.page.select_option("#f0", "wrong")
    assert there.page.locator("li:not(.dim) .desc").all_inner_texts() == ["风扇"]


def test_shapes_and_labels_can_be_switched_off(opened: Any) -> None:
    page = opened(card(item(Box(16, 12, 48, 36), "标签")))
    assert page.page.inner_text(".tag") == "1标签"
    page.page.select_option("#labels", "numbers")
    assert page.page.inner_text(".tag") == "1"
    page.page.select_option("#labels", "none")
    assert page.count(".tag") == 0
    page.page.keyboard.press("Escape")
    page.page.uncheck("#shapes")
    assert not near(page.pixels("figure"), RED, 0.25, 0.5)


def test_labels_do_not_cover_each_other(opened: Any) -> None:
    page = opened(card(*(item(Box(30 + number, 20, 40, 30), f"name {number}") for number in range(6))))
    boxes = page.page.evaluate(
        "[...document.querySelectorAll('.tag')].filter(t => getComputedStyle(t).visibility === 'visible')"
        ".map(t => t.getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])"
    )
    assert len(boxes) >= 4
    for number, a in enumerate(boxes):
        assert all(a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3] for b in boxes[:number])


def test_an_entry_of_the_list_lights_up_its_shape(opened: Any) -> None:
    page = opened(card(item(Box(16, 12, 48, 36)), item(Box(1, 1, 9, 9))))
    page.page.hover("li[data-n='1']")
    assert page.page.evaluate("[...document.querySelectorAll('.on')].map(x => x.dataset.n)") == ["1", "1", "1"]
    assert not near(page.pixels("figure"), GREY, 0.5, 0.5)
    assert "type=psu,state=ok" in page.page.evaluate(
        "getComputedStyle(document.querySelector('.tag.on'), '::after').content"
    )


def test_a_picture_is_enlarged_and_the_next_one_shown(opened: Any) -> None:
    page = opened(card(item(Box(16, 12, 48, 36)), panels=2))
    page.page.click("figure >> nth=0")
    assert page.page.inner_text("#zoomed").endswith("side 0")
    small = page.page.evaluate("document.querySelector('#stage figure').offsetWidth")
    page.page.keyboard.press("+")
    assert page.page.evaluate("document.querySelector('#stage figure').offsetWidth") > small
    page.page.keyboard.press("ArrowRight")
    assert page.page.inner_text("#zoomed").endswith("side 1")
    page.page.keyboard.press("Escape")
    assert not page.page.evaluate("document.querySelector('dialog').open")


def test_text_of_a_stranger_stays_text(opened: Any) -> None:
    evil = '"><img src=x onerror="document.title=1"><script>document.title=2</script>'
    one = replace(item(Box(1, 1, 9, 9)), desc=evil, name=evil, facets={"category": evil, "outcome": evil})
    page = opened(card(one, name=evil, fault=evil), card(item(Box(1, 1, 9, 9))))
    assert page.page.title() == "rows"
    page.page.select_option("#f0", evil)
    assert page.shown() == ["p1"]
    page.page.select_option("#g0", evil)
    assert page.shown() == ["p1"]


@pytest.mark.parametrize("width", [360, 1600])
def test_nothing_is_wider_than_the_window(opened: Any, width: int) -> None:
    page = opened(card(item(Box(16, 12, 48, 36), "x" * 60), name="y" * 300, panels=3))
    page.page.set_viewport_size({"width": width, "height": 800})
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
