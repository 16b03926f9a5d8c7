"""Truth from an annotated file: rows belong together by their picture, and all that do not are told at once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from prediction_rows import BOX, Row, answered, summed_up, unanswered, written

from qvl.errors import ConfigError, RecordError
from qvl.evaluation import Prediction, match_truth, read_predictions


def annotated(name: str = "a.png", **fields: object) -> Row:
    row = {"images": [f"images/{name}"], "width": 200, "height": 100}
    return {**row, "objects": [{"desc": "type=screw", "bbox_2d": [20, 10.5, 60, 30]}], **fields}


def said(folder: Path, *rows: Row) -> list[Prediction]:
    moved = [{**row, "image": str(folder / "images" / Path(row["image"]).name)} for row in rows]
    bare = [{key: value for key, value in row.items() if key != "truth"} for row in moved]
    return read_predictions(written(folder / "answers.jsonl", bare), need_truth=False)


def matched(folder: Path, predictions: list[Prediction], *rows: Row, **options: Any) -> list[Prediction]:
    return match_truth(predictions, written(folder / "val.jsonl", rows), **options)


def test_truth_comes_to_its_picture_in_the_order_of_the_predictions(tmp_path: Path) -> None:
    predictions = said(tmp_path, answered("b.png"), answered("a.png"))
    first, second = matched(
        tmp_path, predictions, annotated("a.png"), annotated("b.png", objects=annotated()["objects"] * 2)
    )
    assert (len(first.truth), len(second.truth)) == (2, 1)
    assert (first.source, second.source) == (f"{tmp_path}/val.jsonl:2", f"{tmp_path}/val.jsonl:1")
    assert second.truth[0].numbers == (100, 105, 300, 300)
    assert second.predicted == predictions[1].predicted


def test_a_picture_that_was_not_answered_gets_its_size_from_the_truth(tmp_path: Path) -> None:
    (one,) = matched(tmp_path, said(tmp_path, unanswered("a.png")), annotated("a.png"))
    assert (one.width, one.height, len(one.truth)) == (200, 100, 1)


def test_a_summary_gets_the_annotated_line(tmp_path: Path) -> None:
    predictions = said(tmp_path, summed_up("a.png", truth="", said="x"))
    (one,) = matched(tmp_path, predictions, annotated("a.png", summary="a screw"))
    assert one.summary == ("a screw", "x")


def test_a_picture_may_be_asked_about_twice_in_two_ways(tmp_path: Path) -> None:
    predictions = said(tmp_path, answered("a.png"), summed_up("a.png", truth="", said="x"))
    first, second = matched(tmp_path, predictions, annotated("a.png", summary="a screw"))
    assert (len(first.truth), second.summary) == (1, ("a screw", "x"))


def test_everything_that_does_not_fit_is_told_with_both_places(tmp_path: Path) -> None:
    rows = [answered(f"{name}.png") for name in "aabc"]
    with pytest.raises(ConfigError) as caught:
        matched(tmp_path, said(tmp_path, *rows), *(annotated(f"{name}.png") for name in "abbd"))
    answers, truth, images = tmp_path / "answers.jsonl", tmp_path / "val.jsonl", tmp_path / "images"
    assert str(caught.value).splitlines() == [
        f"{answers}:2: {images}/a.png stands in {answers}:1 already",
        f"{truth}:3: {images}/b.png stands in {truth}:2 already",
        f"{answers}:4: {images}/c.png is not in {truth}",
        f"{truth}:4: {images}/d.png is not among the predictions of {answers}",
    ]


def test_at_most_twenty_are_told_and_the_rest_is_counted(tmp_path: Path) -> None:
    rows = [answered(f"{number}.png") for number in range(30)]
    with pytest.raises(ConfigError) as caught:
        matched(tmp_path, said(tmp_path, *rows), *(annotated(f"{number}.png") for number in range(7)))
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1].endswith("; and 3 more")) == (20, True)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (annotated(width=100), "answers.jsonl:1: the picture has 200x100 pixels, .*val.jsonl:1 says 100x100"),
        (annotated(objects=[]), "val.jsonl:1: objects: expected a list with at least one object"),
        (annotated(images=["images/a.png", "images/b.png"]), "val.jsonl:1: images: expected one image, got 2"),
        (annotated(images=[]), "val.jsonl:1: images: expected a list with one image path"),
        ([], "val.jsonl:1: expected a JSON object"),
    ],
)
def test_a_row_that_cannot_be_compared_is_refused(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        matched(tmp_path, said(tmp_path, answered("a.png")), row)


def test_pictures_from_another_machine_are_matched_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    far = read_predictions(written(tmp_path / "far.jsonl", [answered("a.png"), answered("b.png")]))
    with caplog.at_level(logging.WARNING):
        found = matched(tmp_path, far, annotated("b.png"), annotated("a.png"))
    assert [one.source[-1] for one in found] == ["2", "1"]
    assert "matched by the names of their files" in caplog.text
    with pytest.raises(ConfigError, match="is not in"):  # two pictures of one name: nothing is guessed
        matched(tmp_path, far, annotated("b.png"), annotated("a.png"), annotated("../more/a.png"))


def test_pictures_lie_beside_the_file_or_in_an_allowed_folder(tmp_path: Path) -> None:
    outside = str(tmp_path / "other" / "a.png")
    predictions = read_predictions(written(tmp_path / "x.jsonl", [{**answered(), "image": outside}]))
    (tmp_path / "set").mkdir()
    with pytest.raises(ConfigError, match="outside the allowed folders"):
        matched(tmp_path / "set", predictions, annotated(images=[outside]))
    (one,) = matched(
        tmp_path / "set", predictions, annotated(images=[outside]), allowed_roots=[str(tmp_path / "other")]
    )
    assert one.truth[0].desc == "type=screw" != BOX["desc"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no such file"):
        match_truth(said(tmp_path, answered()), tmp_path / "val.jsonl")
