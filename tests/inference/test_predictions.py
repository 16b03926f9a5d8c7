from __future__ import annotations

import json
import math
from statistics import fmean

import pytest

from qvl.data import TurnFormat
from qvl.inference import Completion
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
    (row,) = picture_rows(
        Completion(json.dumps(answer(*numbers)), "stop"), [(400, 100)], mode="dense", form=form(emit_norm)
    )
    (item,) = row["predicted"]
    assert list(item["numbers"]) == pytest.approx([100, 500, 200, 750])
    assert item["pixels"] == [40, 50, 80, 75]
    assert row["faults"] == []


def test_an_answer_to_several_pictures_is_dealt_out() -> None:
    text = json.dumps({"图片_1": answer(1, 1, 5, 5), "图片_2": {}}, ensure_ascii=False)
    rows = picture_rows(Completion(text, "stop"), [(100, 100), (10, 10)], mode="dense", form=form())
    assert [len(row["predicted"]) for row in rows] == [1, 0]
    assert all(row["faults"] == [] for row in rows)


def test_a_picture_without_an_answer_is_a_fault() -> None:
    rows = picture_rows(
        Completion(json.dumps(answer(1, 1, 5, 5)), "stop"), [(100, 100), (10, 10)], mode="dense", form=form()
    )
    assert [len(row["predicted"]) for row in rows] == [1, 0]
    assert rows[1]["faults"][-1]["code"] == "image_count"


def told(text: str, logprobs: list[float], size: int = 1) -> Completion:
    """Return a completion of tokens of `size` characters, of which the last may be shorter."""
    ends = tuple(min(start + size, len(text)) for start in range(0, len(text), size))
    return Completion(text, "stop", token_ends=ends, token_logprobs=tuple(logprobs))


@pytest.mark.parametrize("size", [1, 2, 7, 500])
def test_a_score_is_the_mean_over_the_tokens_that_have_a_character_in_the_braces(size: int) -> None:
    text = json.dumps({f"object_{number}": {"desc": "x", "line": [number] * 4} for number in (1, 2)})
    logprobs = [-(place % 5) / 3 for place in range(0, len(text), size)]
    (row,) = picture_rows(told(text, logprobs, size), [(9, 9)], mode="dense", form=form())
    begins = [text.index('{"desc"'), text.rindex('{"desc"')]
    for begin, item in zip(begins, row["predicted"], strict=True):
        end = text.index("}", begin) + 1
        inside = [logprobs[number] for number in range(begin // size, (end - 1) // size + 1)]
        assert item["score"] == round(fmean(inside), 4)


def test_scores_go_with_their_objects_and_are_none_where_they_are_not_known() -> None:
    text = json.dumps({"图片_1": {}, "图片_2": answer(1, 1, 5, 5)}, ensure_ascii=False)
    sizes = [(9, 9)] * 3
    rows = picture_rows(told(text, [-0.1] * len(text)), sizes, mode="dense", form=form())
    assert [[item["score"] for item in row["predicted"]] for row in rows] == [[], [-0.1], []]
    for unknown in (Completion(text, "stop"), told(text, [math.nan] * len(text))):
        rows = picture_rows(unknown, sizes, mode="dense", form=form())
        assert [[item["score"] for item in row["predicted"]] for row in rows] == [[], [None], []]


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
    rows = picture_rows(Completion(text, "stop"), [(9, 9)] * count, mode="summary", form=form())
    assert [row["predicted"] for row in rows] == texts
    assert [fault["code"] for fault in rows[0]["faults"]] == codes
