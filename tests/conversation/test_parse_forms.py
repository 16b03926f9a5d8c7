"""Answers in other forms than the one that was asked for: what is read, and which faults tell about it."""

from pathlib import Path

import pytest

from qvl.conversation import FAULT_CODES, TextObject, parse_answer

LABEL = "图片"
BOX = TextObject("x", "bbox_2d", (1, 2, 3, 4))
KEYED = '{"desc": "x", "bbox_2d": [1, 2, 3, 4]}'
ITEM = '{"bbox_2d": [1, 2, 3, 4], "label": "x"}'
REF = "<|object_ref_start|>x<|object_ref_end|>"
MARK = "<|box_start|>(1,2),(3,4)<|box_end|>"
PAGE = Path(__file__).parents[2] / "docs/reference/answer_faults.md"


def parse(text):
    answer = parse_answer(text, image_label=LABEL)
    return answer.images, [fault.code for fault in answer.faults]


@pytest.mark.parametrize(
    ("text", "kept", "faults"),
    [
        # lists, as Qwen writes them by itself
        (f"[{ITEM}, {ITEM}]", 2, ["list_form"]),
        (f"[\n\t{ITEM},\n\t{KEYED}\n]", 2, ["list_form"]),
        (f"```json\n[{ITEM}, {ITEM}]\n```", 2, ["text_around", "list_form", "text_around"]),
        (f"I see [2] things: [{ITEM}, {ITEM}]", 2, ["text_around", "list_form"]),
        (f"[{ITEM}, {ITEM},]", 2, ["list_form", "not_strict_json"]),
        (f"[{ITEM}, {ITEM}, {ITEM[:30]}", 2, ["list_form", "truncated"]),
        (f"[{ITEM}, {ITEM}]]", 2, ["list_form", "stray_brace"]),
        (f"[{ITEM}, {ITEM}]\n[{ITEM}]", 2, ["list_form", "text_around"]),  # of two answers the first
        (f'{{"objects": [{ITEM}, {ITEM}]}}', 2, ["unknown_key", "list_form"]),
        (f'{{"objects": [{ITEM}, {ITEM}, {ITEM[:9]}', 2, ["unknown_key", "list_form", "truncated"]),
        (f'{{"answer": {{"object_1": {KEYED}, "object_2": {KEYED}}}}}', 2, ["unknown_key"]),
        (f'[{{"object_1": {KEYED}}}, {{"object_2": {KEYED}}}]', 2, ["list_form"]),
        (f"{ITEM}\n{ITEM}", 2, ["bare_object", "other_key"] * 2),
        (f"First {KEYED}, then {KEYED}.", 2, ["text_around", "bare_object"] * 2 + ["text_around"]),
        # marks
        (f"{REF}{MARK}{MARK}", 2, ["marked_form"]),
        (f"{REF} {MARK}, {REF} {MARK}.", 2, ["marked_form"]),
        (f"A picture of {REF}{MARK} and {REF}{MARK}", 2, ["marked_form", "text_around"]),
        (f"{REF}{MARK}{REF}{MARK}{REF}{MARK[:20]}", 2, ["marked_form", "truncated"]),
        (f"{REF}{MARK}{REF}{MARK}<|object_r", 2, ["marked_form", "truncated"]),
        (f"{REF}{MARK}{REF}{MARK}{REF}", 2, ["marked_form", "geometry_count"]),
        (f"{REF}{MARK}{REF}<|box_start|>(1,2),(3,NaN)<|box_end|>{MARK}", 2, ["marked_form", "bad_numbers"]),
        (f"{REF}{MARK}{REF}<|point_start|>(1,2)<|point_end|>{MARK}", 2, ["marked_form", "unknown_geometry"]),
        (f"{REF}{MARK}<|box_start|>{REF}{MARK}", 2, ["marked_form", "malformed"]),
        ("<ref>x</ref><box>(1,2),(3,4)</box><box>[[1, 2], [3, 4]]</box>", 2, ["marked_form"]),
        # braces, quotes, commas
        (f'{{"object_1": {KEYED}}}, "object_2": {KEYED}}}', 2, ["stray_brace"]),
        (f'{{"object_1": {KEYED}, "object_2": {KEYED}}}}}', 2, ["stray_brace"]),
        (f'{{{{"object_1": {KEYED}, "object_2": {KEYED}}}}}', 2, ["stray_brace"]),
        (f'{{"object_1": {KEYED}, {{"object_2": {KEYED}}}}}', 2, ["stray_brace"]),
        (f'{{"object_1": {KEYED}}}\n{{"object_2": {KEYED}}}', 2, ["stray_brace"]),
        (f'"object_1": {KEYED}, "object_2": {KEYED}}}', 2, ["not_strict_json"]),
        (f'{{"object_1": {KEYED},, "object_2": {KEYED}}}', 2, ["not_strict_json"]),
        (f'{{"object_1": {KEYED}, "object_2": {KEYED[:-1]},}}}}', 2, ["not_strict_json"]),
        (f'{{"object_1": {KEYED}, "object_2": {{"desc": "x" "bbox_2d": [01 2.0, +3, 4,]}}}}', 2, ["not_strict_json"]),
        (f'{{"object_1": {KEYED}, "object_2": {KEYED}]', 2, ["not_strict_json"]),
        (repr({"object_1": {"desc": "x", "bbox_2d": [1, 2, 3, 4]}}), 1, ["single_quotes"]),
        # around and between
        (f'<think>{{"object_1": {KEYED}}}?</think>{{"object_1": {KEYED}, "object_2": {KEYED}}}', 2, ["text_around"]),
        (f'{{"object_1": {KEYED}, "object_2": {KEYED}}} {{"object_1": {KEYED}}}', 2, ["text_around"]),
        (f'{{"object_1": {KEYED}, "object_2": {KEYED}}}<|im_end|>', 2, ["text_around"]),
        (f'{{"object_1": {KEYED}, hm, "object_2": {KEYED}}}', 2, ["malformed"]),
        (f'{{"object_1": {KEYED}, "note": [1], "object_2": {KEYED},}}', 2, ["unknown_key", "not_strict_json"]),
        (f'{{"objet_1": {KEYED}, "object_2": {KEYED}}}', 2, ["unknown_key"]),
        (f'{{"\'object_1": {KEYED}, "object_2": {KEYED}', 2, ["malformed", "bare_object", "truncated"]),
        # words for words, pairs for numbers
        (f'{{"object_1": {ITEM}, "object_2": {KEYED}}}', 2, ["other_key"]),
        ('{"object_1": {"desc": "x", "bbox_2d": [[1, 2], [3, 4]]}}', 1, ["nested_numbers"]),
        ("[[1, 2, 3, 4]]", 0, ["list_form", "not_an_object"]),
        ('[{"point_2d": [1, 2], "label": "x"}]', 0, ["list_form", "unknown_geometry"]),
        ('[{"bbox": [1, 2, 3, 4], "label": "x"}]', 0, ["list_form", "unknown_geometry"]),  # or width and height?
        ("```json\n[]\n```", 0, ["text_around", "list_form", "text_around"]),
        ("There are none: {}", 0, ["text_around"]),
        ("I see [nothing] here", 0, ["not_json"]),
    ],
)  # fmt: skip
def test_other_forms_are_read_and_told_about(text, kept, faults):
    assert parse(text) == (((BOX,) * kept,), faults)


@pytest.mark.parametrize(
    "text",
    [
        f"[{ITEM}, {ITEM}, {ITEM[:-1]}",
        f"{ITEM},\n{ITEM}\n",
        f'{{"objects": [{ITEM}, {ITEM}',
        f"{REF}{MARK}{REF}{MARK}",
        f'{{"object_1": {KEYED}}}, "object_2": {KEYED}}}',
        f'{{"object_1": {KEYED}, "object_2": {{"desc": "x", "bbox_2d": [1, 2, 3, 4],}}}}',
        "{'object_1': {'desc': 'x', 'bbox_2d': [1, 2, 3, 4]}, 'object_2': {'desc': 'x', 'bbox_2d': [1, 2, 3, 4]}, 'o",
        f'{{"object_1": {KEYED}, "object_x: {{"desc": "y"}}, "object_3": {KEYED}}}',
    ],
)  # fmt: skip
def test_every_object_that_is_whole_is_kept(text):
    assert parse(text)[0] == ((BOX, BOX),)


@pytest.mark.parametrize(
    ("text", "images"),
    [
        (f'{{"图片_1": [{ITEM}], "图片_2": [{ITEM}, {ITEM}]}}', ((BOX,), (BOX, BOX))),
        (f'{{"图片_1": [{ITEM}], "图片_2": [{ITEM}, {ITEM},', ((BOX,), (BOX, BOX))),
        (f'{{"图片_1": {ITEM}, "图片_2": {{"object_1": {KEYED}}}}}', ((BOX,), (BOX,))),
        (f'{{"图片_1": {KEYED}, "图片_2": {{"object_1": {KEYED}', ((BOX,), (BOX,))),
        (f'<|box_start|>{{"图片_1": {{}}, "图片_2": {{"object_1": {KEYED}}}}}', ((), (BOX,))),
        (f'{{"图片_1": {{"object_1": {KEYED}}}}}, "图片_2": {{"object_1": {KEYED}}}}}', ((BOX,), (BOX,))),
        (f'{{"\\u56fe\\u7247_1": {{}}, "\\u56fe\\u7247_2": {{"object_1": {KEYED}', ((), (BOX,))),
        (f"{{'图片_1': {{'object_1': {KEYED}}}, '图片_2': {{}}}}", ((BOX,), ())),
    ],
)
def test_objects_of_other_forms_stay_in_their_picture(text, images):
    assert parse(text)[0] == images


@pytest.mark.parametrize(
    ("written", "desc"),
    [
        ('"5" pipe"', '5" pipe'),
        ("'it's'", "it's"),
        ('"a\nb"', "a\nb"),
        ('"\\u56fe \\ud83d\\ude00 \\/ \\\' \\n"', "图 😀 / ' \n"),
        ('""', ""),
    ],
)
def test_texts_with_slips_are_read(written, desc):
    images, faults = parse(f'{{"object_1": {{"desc": {written}, "bbox_2d": [1, 2, 3, 4],}}}}')
    assert images[0][0].desc == desc
    assert set(faults) <= {"not_strict_json", "single_quotes"}


def test_numbers_of_pairs_and_quads_become_flat_polygons():
    text = (
        '[{"quad": [[1, 2], [3, 4], [5, 6], [7, 8]], "label": "x"}, {"poly": [[1, 2], [3, 4.5], [5, 6]], "label": "y"}]'
    )
    images, faults = parse(text)
    assert images == (
        (TextObject("x", "poly", (1, 2, 3, 4, 5, 6, 7, 8)), TextObject("y", "poly", (1, 2, 3, 4.5, 5, 6))),
    )
    assert faults == ["list_form", "other_key", "nested_numbers", "nested_numbers"]


def test_numbers_are_returned_as_they_are_written():
    images, faults = parse('{"object_1": {"desc": "x", "bbox_2d": [-3, 0.25, 4032, 100000]}}')
    assert images[0][0].numbers == (-3, 0.25, 4032, 100000)
    assert faults == []


def test_thousands_of_repeated_objects_are_all_read():
    text = "{" + f'"object_1": {KEYED}, ' * 3000
    images, faults = parse(text)
    assert images == ((BOX,) * 3000,)
    assert faults == ["duplicate_key"] * 2999 + ["truncated"]


def test_every_code_is_in_the_reference():
    rows = [line.split("|")[1:3] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert {code.strip(" `"): meaning.strip() for code, meaning in rows} == dict(FAULT_CODES)
