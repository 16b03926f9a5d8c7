"""Spans: where the objects of an answer stand in its text."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import LABEL, drawn_answers, parse

from qvl.conversation import find_spans, render_answer

BOX = '{"desc": "x", "bbox_2d": [1, 2, 3, 4]}'
NATIVE = '{"bbox_2d": [1, 2, 3, 4], "label": "x"}'
REF = "<|object_ref_start|>x<|object_ref_end|>"
MARKS = "<|box_start|>(1,2),(3,4)<|box_end|>"
JUNK = [*"{}[]\"':,\\<>|x0- \n", "```", "</think>", '"object_1": {', '{"desc":', MARKS, NATIVE]

answers = drawn_answers()


def spans_of(text):
    return find_spans(text, parse(text), image_label=LABEL)


def check(text):
    """Make sure that every span of a text is one of its object; return how many there are."""
    parsed, count = parse(text), 0
    for items, spans in zip(parsed.images, find_spans(text, parsed, image_label=LABEL), strict=True):
        for item, span in zip(items, spans, strict=True):
            if span is not None:
                count += 1
                assert parse(text[slice(*span)]).images == ((item,),)
    return count


@settings(max_examples=50, deadline=None)
@given(answers)
def test_the_text_of_a_span_is_the_object_also_in_an_answer_that_was_cut_off(images):
    text = render_answer(images, image_label=LABEL)
    flat = [span for spans in spans_of(text) for span in spans]
    assert len(flat) == sum(map(len, images)) == check(text)
    assert all(text[start] == "{" and text[end - 1] == "}" for start, end in flat)
    assert all(before[1] < after[0] for before, after in pairwise(flat))
    cut = text[: len(text) // 2]
    assert check(cut) == sum(map(len, parse(cut).images))


@settings(max_examples=50, deadline=None)
@given(answers, st.data())
def test_spans_of_a_damaged_answer_are_those_of_the_objects_that_were_read(images, data):
    text = render_answer(images, image_label=LABEL).replace('"', data.draw(st.sampled_from("\"'")))
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    middle = data.draw(st.sampled_from(["", text[first:second], text[second:], *JUNK]))
    check(text[:first] + middle + text[second:])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f'{{"object_1": {BOX}, "object_1": {BOX} }}', [BOX, BOX]),
        (f'{{"图片_1": {{}}, "图片_2": {{"object_1": {BOX}}}}}', [BOX]),
        (f"Here: [{NATIVE}, {NATIVE}]", [NATIVE, NATIVE]),
        (f'{{"objects": [ {BOX}, {BOX}', [BOX, BOX]),
        (f'{{"thing": {BOX}}}', [BOX]),
        (BOX, [BOX]),
        (f"{REF}{MARKS}", [f"{REF}{MARKS}"]),
        (f"{REF}{MARKS} {MARKS}", [f"{REF}{MARKS}", MARKS]),
    ],
)
def test_objects_are_found_in_every_form(text, parts):
    assert [text[slice(*span)] for spans in spans_of(text) for span in spans] == parts


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ('{"a": {"b": 1, "desc": "x", "line": [1, 2, 3, 4]}}', ((None,),)),
        (f'{{"object_1": {BOX}, "object_2": {{"a": {BOX}}}}}', ((None,),)),
        ("no object", ((),)),
    ],
)
def test_where_the_place_is_not_known_none_is_told(text, spans):
    assert spans_of(text) == spans


@pytest.mark.parametrize("piece", [f'"object_1": {BOX}, ', f"{NATIVE}, ", f"{REF}{MARKS}"])
def test_time_grows_as_the_text_does(piece):
    def seconds(size):
        text = ("[" if piece[0] == "{" else "{") + piece * (size // len(piece))
        parsed = parse(text)
        times = []
        for _ in range(2):
            start = time.process_time()
            find_spans(text, parsed, image_label=LABEL)
            times.append(time.process_time() - start)
        return min(times)

    short, long = seconds(25_000), seconds(100_000)
    assert long < 0.02 or long / short < 10  # 4 if linear, 16 if quadratic
