"""The page of predictions tells scores, verdicts and faults; how it looks is tested in a browser."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from qvl.conversation import Fault, TextObject
from qvl.errors import RecordError
from qvl.evaluation import Prediction
from qvl.records import Source
from qvl.visualization import judge, prediction_cards, prediction_layout, render_gallery

VOID = {"meta", "input", "image", "use", "path"}
BOX = TextObject("type=psu,state=ok", "bbox_2d", (250, 250, 750, 750))
OTHER = TextObject("类别=标签,文本=A&B<b>", "poly", (0, 0, 100, 0, 100, 100))


class Page(HTMLParser):
    """Checks that tags are closed in order and gathers attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
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

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def attributes(self, tag: str, name: str) -> list[str]:
        return [str(attributes[name]) for found, attributes in self.tags if found == tag]


def prediction(folder: Path, number: int = 1, *, size: tuple[int, int] = (64, 48)) -> Prediction:
    path = folder / f"picture {number}.png"
    Image.new("RGB", size, (90, 90, 90)).save(path)
    return Prediction(
        where=Source("predictions_after.jsonl", number),
        image=str(path),
        source=f"val.jsonl:{number}",
        width=size[0],
        height=size[1],
        truth=(BOX,),
        predicted=(BOX, OTHER),
        faults=(),
        completion="",
        finish_reason="stop",
    )


def rendered(*predictions: Prediction, num_samples: int = 50) -> str:
    report = judge(predictions, threshold=0.5, line_tolerance=20.0)
    shown = report.select(num_samples, worst_first=True)
    return render_gallery(
        prediction_cards(shown), prediction_layout(report, shown, title="run/predictions_after.jsonl")
    )


def pictures(page: str) -> list[Image.Image]:
    data = re.findall(r'href="data:image/jpeg;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in data]


def test_every_picture_is_inside_once_and_shown_twice(tmp_path: Path) -> None:
    text = rendered(*(prediction(tmp_path, number) for number in (1, 2, 3)))
    page = Page(text)
    assert len(pictures(text)) == 3
    assert len(page.attributes("use", "href")) == 3
    assert {target[0] for target in page.attributes("a", "href")} == {"#"}
    assert not re.search(r"https?://|url\(|@import", text)
    assert all(f"val.jsonl:{number}" in page.text and f"picture {number}.png" in page.text for number in (1, 2, 3))


def test_truth_and_prediction_have_shapes_in_the_colour_of_their_outcome(tmp_path: Path) -> None:
    page = Page(rendered(prediction(tmp_path)))
    assert page.attributes("g", "style") == ["--c:#009e73", "--c:#009e73", "--c:#d4267d"]
    assert page.attributes("path", "d")[::2] == [
        "M16 12 48 12 48 36 16 36Z",
        "M16 12 48 12 48 36 16 36Z",
        "M0 0 6.4 0 6.4 4.8Z",
    ]


def test_the_head_tells_the_scores_over_all_pictures(tmp_path: Path) -> None:
    bad = replace(
        prediction(tmp_path, 2),
        predicted=(TextObject("type=psu", "bbox_2d", (5, 5, 5, 5)),),
        faults=(Fault("truncated", "character 3", "the answer <ends>"),),
        finish_reason="length",
    )
    page = Page(rendered(prediction(tmp_path, 1), bad, num_samples=1))
    assert "0.400F11 matched" in page.text  # 1 pair among 2 annotated and 3 predicted objects
    assert "0.333precisionof 3 predicted" in page.text
    assert "0.500answers without a fault1 of 2 pictures" in page.text
    assert "1 of 2 pictures, with their F1" in page.text
    assert "truncated1" in page.text
    assert "malformed object1" in page.text
    assert "fault of the text1" in page.text
    assert "the answer as the model wrote it (cut off by the limit of tokens)" in page.text
    assert "truncated character 3: the answer <ends>" in page.text
    assert "val.jsonl:2" in page.text
    assert "val.jsonl:1" not in page.text  # the better one is not shown


def test_text_of_the_model_is_never_markup(tmp_path: Path) -> None:
    evil = '</pre><script src="https://example.org/x.js"></script>\x00\x1b & \ud800'
    row = replace(
        prediction(tmp_path),
        predicted=(TextObject(evil, "bbox_2d", (1, 1, 9, 9)),),
        completion=evil,
        source=evil,
        faults=(Fault(evil, evil, evil),),
    )
    page = Page(rendered(row))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(evil.replace("\x00", "␀").replace("\x1b", "␛")) >= 5


def test_a_description_in_any_script_stands_beside_the_picture(tmp_path: Path) -> None:
    page = Page(rendered(prediction(tmp_path)))
    assert "2类别=标签,文本=A&B<b> wrong: overlaps no truth poly [0, 0, 100, 0, 100, 100]" in page.text
    assert "2标签" in page.text  # the tag in the picture


def test_an_empty_picture_is_shown(tmp_path: Path) -> None:
    page = Page(rendered(replace(prediction(tmp_path), truth=(), predicted=())))
    assert page.text.count("no objects") == 2
    assert "F1 1.00" in page.text


def test_a_long_polygon_is_shortened_in_the_list(tmp_path: Path) -> None:
    numbers = tuple(range(100, 140))
    page = Page(rendered(replace(prediction(tmp_path), predicted=(TextObject("x", "poly", numbers),))))
    assert "110, 111, ... (40 numbers)]" in page.text


def test_a_picture_that_is_gone_is_an_error_with_file_and_line(tmp_path: Path) -> None:
    row = prediction(tmp_path, 7)
    Path(row.image).unlink()
    with pytest.raises(
        RecordError, match=r"^predictions_after.jsonl:7: image: .*picture 7.png: there is no such picture"
    ):
        rendered(row)


def test_a_picture_of_another_size_is_an_error(tmp_path: Path) -> None:
    row = prediction(tmp_path, 7)
    Image.new("RGB", (48, 64)).save(row.image)
    with pytest.raises(RecordError, match=r"jsonl:7: image: .* has 48 x 64 pixels, the row says 64 x 48"):
        rendered(row)
