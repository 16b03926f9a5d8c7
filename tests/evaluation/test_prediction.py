"""A predictions file is read whole or refused with file, line and key."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qvl.conversation import Fault, TextObject
from qvl.errors import ConfigError, RecordError
from qvl.evaluation import read_predictions

Row = dict[str, Any]
ROW: Row = {
    "image": "/pictures/a.jpg",
    "source": "val.jsonl:3",
    "width": 256,
    "height": 192,
    "truth": [{"desc": "type=psu", "key": "poly", "numbers": [1.5, 2, 30, 2, 30, 40]}],
    "predicted": [{"desc": "屏", "key": "bbox_2d", "numbers": [5, 5, 5, 5]}],
    "faults": [{"code": "truncated", "where": "character 3", "message": "cut"}],
    "completion": '{"object_1": {"desc": "屏"',
    "finish_reason": "length",
}


def written(folder: Path, *lines: str) -> Path:
    path = folder / "predictions_after.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_a_row_is_read_with_its_place(tmp_path: Path) -> None:
    path = written(tmp_path, "", json.dumps(ROW), json.dumps(ROW))
    first, second = read_predictions(path)
    assert (str(first.where), str(second.where)) == (f"{path}:2", f"{path}:3")
    assert first.truth == (TextObject("type=psu", "poly", (1.5, 2, 30, 2, 30, 40)),)
    assert first.predicted == (TextObject("屏", "bbox_2d", (5, 5, 5, 5)),)  # no possible shape, but a prediction
    assert first.faults == (Fault("truncated", "character 3", "cut"),)


@pytest.mark.parametrize("key", [key for key in ROW if key != "truth"])
def test_a_row_without_a_key_is_refused(tmp_path: Path, key: str) -> None:
    path = written(tmp_path, json.dumps(ROW), json.dumps({name: value for name, value in ROW.items() if name != key}))
    with pytest.raises(RecordError, match=f":2: the row lacks {key};"):
        read_predictions(path)


def test_rows_without_truth_are_refused_together_unless_another_file_gives_it(tmp_path: Path) -> None:
    bare = json.dumps({name: value for name, value in ROW.items() if name != "truth"})
    path = written(tmp_path, bare, json.dumps(ROW), bare)
    with pytest.raises(ConfigError, match=r"2 of 3 pictures have no truth \(lines 1, 3\); .* truth=FILE"):
        read_predictions(path)
    assert [one.truth == () for one in read_predictions(path, need_truth=False)] == [True, False, True]


def test_pictures_of_a_group_are_rows_of_their_own(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != "source"}
    path = written(tmp_path, json.dumps({"source": "mission/1", "pictures": [row, {**row, "image": "/b.jpg"}]}))
    assert [(one.source, one.image, one.where.line) for one in read_predictions(path)] == [
        ("mission/1", ROW["image"], 1), ("mission/1", "/b.jpg", 1),
    ]  # fmt: skip


def test_a_summary_is_read_beside_the_annotated_one(tmp_path: Path) -> None:
    (one,) = read_predictions(written(tmp_path, json.dumps({**ROW, "truth": "annotated", "predicted": "said"})))
    assert (one.summary, one.truth, one.predicted) == (("annotated", "said"), (), ())


def test_a_picture_that_was_not_answered_needs_no_size(tmp_path: Path) -> None:
    row = {**ROW, "predicted": [], "width": None, "height": None, "error": "there is no such file"}
    (one,) = read_predictions(written(tmp_path, json.dumps(row)))
    assert (one.error, one.width, one.height) == ("there is no such file", 0, 0)


def test_scores_are_read_where_they_are(tmp_path: Path) -> None:
    item = ROW["predicted"][0]
    (one,) = read_predictions(written(tmp_path, json.dumps({**ROW, "predicted": [{**item, "score": -0.25}, item]})))
    assert one.scores == (-0.25, None)


def change(*place: str | int, value: object) -> Callable[[Row], None]:
    def apply(row: Any) -> None:
        for step in place[:-1]:
            row = row[step]
        row[place[-1]] = value

    return apply


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (change("image", value=3), "image: expected a text, got 3"),
        (change("width", value=0), "width: expected a whole number of pixels in 1..1000000, got 0"),
        (change("width", value=10**400), "width: .* got an integer of 1329 bits"),
        (change("image", value="a\ud800.png"), "image: expected a text without half a character"),
        (change("height", value=True), "height: expected a whole number of pixels"),
        (change("truth", value=None), "truth: expected a list, got None"),
        (change("truth", 0, value="x"), r"truth\[0\]: expected a JSON object, got 'x'"),
        (change("truth", 0, value={}), r"truth\[0\].numbers: expected a list of numbers, got None"),
        (change("truth", 0, "numbers", value=[1, "2"]), r"truth\[0\].numbers: expected a list of numbers"),
        (change("truth", 0, "numbers", value=[1, True, 3, 4]), r"truth\[0\].numbers: expected a list of numbers"),
        (change("truth", 0, "numbers", value=[1, 2]), r"truth\[0\]: poly takes an even count"),
        (change("truth", 0, "key", value="quad"), r"truth\[0\]: geometry must be one of bbox_2d, poly, line"),
        (change("truth", 0, value=ROW["predicted"][0]), r"truth\[0\]: a box needs x1 < x2"),
        (change("predicted", 0, "desc", value=None), r"predicted\[0\].desc: expected a text"),
        (change("faults", 0, value={"code": "x"}), r"faults\[0\].where: expected a text, got None"),
        (change("predicted", 0, "score", value="high"), r"predicted\[0\].score: expected a number, got 'high'"),
        (change("predicted", value="said"), "truth: expected a text, got list"),
        (change("error", value=3), "error: expected a text, got 3"),
        (change("completion", value=[]), "completion: expected a text"),
    ],
)
def test_a_row_of_another_form_is_refused_by_name(tmp_path: Path, changed: Callable[[Row], None], message: str) -> None:
    row = copy.deepcopy(ROW)
    changed(row)
    path = written(tmp_path, json.dumps(ROW), json.dumps(row))
    with pytest.raises(RecordError, match=f":2: {message}"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ":1: not JSON at character 2"),
        ("[1]", ":1: a row is a JSON object, got list"),
        (json.dumps(ROW).replace("1.5", "NaN"), ":1: .*expected a finite number, got nan"),
        ('{"images": ["a.jpg"], "objects": []}', ":1: the row lacks image, .*; training writes such files"),
    ],
)
def test_a_line_that_is_no_row_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read_predictions(written(tmp_path, line))


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no such file"):
        read_predictions(tmp_path / "predictions_after.jsonl")
    with pytest.raises(RecordError, match="there is no such file"):
        read_predictions(tmp_path)
    with pytest.raises(RecordError, match="the file has no rows"):
        read_predictions(written(tmp_path))
