from __future__ import annotations

import json

import pytest

from qvl.data import TurnFormat
from qvl.inference.predictions import picture_rows


def form(emit_norm: str = "norm1000") -> TurnFormat:
    return TurnFormat(emit_norm, "tlbr", "图片", 1, 10**6)


def answer(*numbers: float) -> dict[str, object]:
    return {"object_1": {"desc": "type=screw", "bbox_2d": list(numbers)}}


@pytest.mark.parametrize(
    ("emit_norm", "numbers"),
    [("norm1000", (100, 500, 200, 750)), ("norm100", (10, 50, 20, 75)), ("none", (40, 50, 80, 75))],
)
def test_numbers_of_every_unit_come_on_the_grid_and_in_pixels(emit_norm: str, numbers: tuple[int, ...]) -> None:
    (row,) = picture_rows(json.dumps(answer(*numbers)), [(400, 100)], mode="dense", form=form(emit_norm))
    (item,) = row["predicted"]
    assert list(item["numbers"]) == pytest.approx([100, 500, 200, 750])
    assert item["pixels"] == [40, 50, 80, 75]
    assert row["faults"] == []


def test_an_answer_to_several_pictures_is_dealt_out() -> None:
    text = json.dumps({"图片_1": answer(1, 1, 5, 5), "图片_2": {}}, ensure_ascii=False)
    rows = picture_rows(text, [(100, 100), (10, 10)], mode="dense", form=form())
    assert [len(row["predicted"]) for row in rows] == [1, 0]
    assert all(row["faults"] == [] for row in rows)


def test_a_picture_without_an_answer_is_a_fault() -> None:
    rows = picture_rows(json.dumps(answer(1, 1, 5, 5)), [(100, 100), (10, 10)], mode="dense", form=form())
    assert [len(row["predicted"]) for row in rows] == [1, 0]
    assert rows[1]["faults"][-1]["code"] == "image_count"


@pytest.mark.parametrize(
    ("text", "count", "texts", "codes"),
    [
        (" one line \n", 1, ["one line"], []),
        ("", 1, [""], ["no_summary"]),
        ("无关图片，再见", 1, ["无关图片"], ["text_around"]),
        ("a\nb", 1, ["a\nb"], ["many_lines"]),
        ('{"图片_1": "a", "图片_2": "b"}', 2, ["a", "b"], []),
        ('{"图片_1": "a", "图片_3": "b"}', 2, ["a", ""], ["no_summary", "unknown_key"]),
        ("a", 2, ["", ""], ["not_json"]),
        ("[1]", 2, ["", ""], ["no_summary", "no_summary"]),
    ],
)
def test_summaries_are_read_and_what_is_missing_is_told(text, count, texts, codes) -> None:
    rows = picture_rows(text, [(9, 9)] * count, mode="summary", form=form())
    assert [row["predicted"] for row in rows] == texts
    assert [fault["code"] for fault in rows[0]["faults"]] == codes
