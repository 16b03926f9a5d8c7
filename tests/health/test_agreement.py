from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qvl.health import EncodedPrompt, compare_prompts

PROMPT = EncodedPrompt("List <|image_pad|>", np.arange(4), np.zeros((2, 3), np.float32), np.array([[1, 2, 2]]))


def changed(array: np.ndarray, value: float) -> np.ndarray:
    copy = array.copy()
    copy[-1] = value
    return copy


def test_the_same_bytes_agree():
    assert compare_prompts({"one": PROMPT, "two": replace(PROMPT, input_ids=np.arange(4))}, where="a:1") == []


@pytest.mark.parametrize(
    ("other", "part", "message"),
    [
        (replace(PROMPT, text="List <|video|>"), "text", "at character 7: 'image_pad|>' and 'video|>'"),
        (replace(PROMPT, text="List"), "text", "at character 4: ' <|image_pad|>' and ''"),
        (
            replace(PROMPT, input_ids=changed(PROMPT.input_ids, 9)),
            "input_ids",
            "1 of 4 numbers, the first at [3]: 3 and 9",
        ),
        (replace(PROMPT, input_ids=np.arange(5)), "input_ids", "int64 (4,) and int64 (5,)"),
        (replace(PROMPT, pixel_values=changed(PROMPT.pixel_values, 0.5)), "pixel_values", "at most by 0.5"),
        (replace(PROMPT, pixel_values=changed(PROMPT.pixel_values, -0.0)), "pixel_values", "in the bits of equal"),
        (replace(PROMPT, pixel_values=np.zeros((2, 3))), "pixel_values", "float32 (2, 3) and float64 (2, 3)"),
        (replace(PROMPT, grids=np.array([[1, 4, 1]])), "grids", "2 of 3 numbers"),
    ],
)
def test_a_difference_is_told_by_row_and_part(other, part, message):
    (found,) = compare_prompts({"training": PROMPT, "inference": other}, where="val.jsonl:3")
    assert (found.part, found.ways) == (part, ("training", "inference"))
    assert message in found.message
    assert str(found).startswith(f"val.jsonl:3: {part}: training and inference differ: ")


def test_every_way_is_compared_with_the_first():
    other = replace(PROMPT, text="", input_ids=np.arange(2))
    found = compare_prompts({"a": PROMPT, "b": PROMPT, "c": other}, where="")
    assert [(item.ways, item.part) for item in found] == [(("a", "c"), "text"), (("a", "c"), "input_ids")]


def test_one_way_alone_is_no_comparison():
    with pytest.raises(ValueError, match="at least 2 ways"):
        compare_prompts({"a": PROMPT}, where="")
