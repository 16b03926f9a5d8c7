"""Fuzz: whatever the model writes, nothing is raised, whole objects survive, and the time is linear in the text."""

import json
import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from written import LABEL, drawn_answers, drawn_objects, parse

from qvl.conversation import FAULT_CODES, TextObject, render_answer

ITEM = '{"bbox_2d": [1, 2, 3, 4], "label": "x"}'
JUNK = [*"{}[]\"':,\\<>|x0- \n", "```", "```json\n", "NaN", "</think>", "<|box_start|>", '"object_1": {', '{"desc":']

answers = drawn_answers()


def check(text):
    """Read a text and make sure that the result is one."""
    answer = parse(text)
    assert answer.images
    assert all(isinstance(item, TextObject) for items in answer.images for item in items)
    assert {fault.code for fault in answer.faults} <= FAULT_CODES.keys()
    assert all(fault.where and len(fault.message) < 300 for fault in answer.faults)
    if not answer.faults:
        json.loads(text)
    return answer


@st.composite
def damaged(draw):
    """A rendered answer after some cuts, splices and changed characters."""
    text = render_answer(draw(answers), image_label=LABEL)
    for _ in range(draw(st.integers(1, 3))):
        first, second = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        piece = draw(st.one_of(st.sampled_from(JUNK), st.text(max_size=3)))
        text = draw(
            st.sampled_from(
                [
                    text[:first],
                    text[first:],
                    text[:first] + text[second:],
                    text[:first] + text[second:] + text[first:second],
                    text[:second] + text[first:],
                    text[:first] + piece + text[first:],
                    text[:first] + piece + text[first + 1 :],
                    text.replace('"', "'"),
                    text.replace('"desc"', '"label"'),
                ]
            )
        )
    return text


@settings(max_examples=100, deadline=None)
@given(damaged())
def test_a_damaged_answer_is_read(text):
    check(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.sampled_from([*JUNK, ITEM, '"poly": [1,', "图片_1"]), st.text(max_size=4))).map("".join))
@example("\ud800")
@example("[-")
@example("{'")
def test_any_pieces_are_read(text):
    check(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(drawn_objects(), min_size=1, max_size=4), st.data())
def test_damage_in_one_object_spares_the_others(items, data):
    text = render_answer([items], image_label=LABEL)
    members, position = [], 1
    for number, item in enumerate(items, 1):
        body = render_answer([[item]], image_label=LABEL)[1:-1].replace('"object_1"', f'"object_{number}"', 1)
        members.append((text.index(body, position), len(body)))
        position = members[-1][0] + len(body)
    hit = data.draw(st.integers(0, len(items) - 1))
    start, size = members[hit]
    at = start + data.draw(st.integers(0, size - 1))
    broken = (
        text[:at] + data.draw(st.sampled_from(["", "{", "}", "[", "]", ",", ":", "\\", "x", "\n"])) + text[at + 1 :]
    )
    kept = [item for group in check(broken).images for item in group]
    assert kept[:hit] == items[:hit]
    assert kept[len(kept) - len(items) + hit + 1 :] == items[hit + 1 :]


@settings(max_examples=20, deadline=None)
@given(st.lists(drawn_objects(), min_size=1, max_size=4), st.sampled_from(["desc", "label"]))
def test_a_list_that_is_cut_keeps_exactly_its_complete_objects(items, word):
    parts = [json.dumps({item.key: item.numbers, word: item.desc}, ensure_ascii=False) for item in items]
    text = "[" + ", ".join(parts) + "]"
    for size in range(len(text)):
        ends = [1 + sum(map(len, parts[: number + 1])) + 2 * number for number in range(len(parts))]
        assert parse(text[:size]).images == (tuple(items[: sum(end <= size for end in ends)]),)


def shuffled(size):
    """Characters that occur in answers, in no order."""
    letters = random.Random(0)
    return "".join(
        letters.choices(['"', "'", "{", "}", "[", "]", ":", ",", " ", "\\", "1", '"object_1": {'], k=size // 2)
    )


GROWING = {
    "brackets": lambda size: "[" * size,
    "braces": lambda size: "{" * size + '"object_1": {',
    "closers": lambda size: '{"object_1": ' + ITEM + "}" * size,
    "open keys": lambda size: '{"object_1": ' * (size // 13),
    "open pictures": lambda size: '{"图片_1": {' * (size // 11),
    "open texts": lambda size: '{"object_1": {"desc": "' * (size // 23),
    "open single quotes": lambda size: "{'object_1': {'desc': 'it's " * (size // 28),
    "quotes": lambda size: '{"object_1": {' + '"' * size,
    "quotes and blanks": lambda size: '{"object_1": {"desc": ' + '"      ' * (size // 7),
    "escapes": lambda size: '{"object_1": {"desc": "' + '\\"' * (size // 2),
    "digits": lambda size: '{"object_1": {"desc": "x", "poly": [' + "9" * size + "x",
    "numbers": lambda size: '{"object_1": {"desc": "x", "poly": [' + "1, " * (size // 3),
    "members": lambda size: "{" + '"a": 1, ' * (size // 8) + '"object_1": {',
    "commas": lambda size: '{"object_1": ' + ITEM + "," * size + '"object_2": {',
    "malformed objects": lambda size: "{" + '"object_1": {"desc":"a","bbox_2d":[1,2}, ' * (size // 41),
    "repeated objects": lambda size: "{" + f'"object_1": {ITEM}, ' * (size // 54),
    "repeated items": lambda size: "[" + f"{ITEM}, " * (size // 41),
    "repeated answers": lambda size: f'{{"object_1": {ITEM}}}' * (size // 53),
    "bare items in words": lambda size: f"see {ITEM} " * (size // 44),
    "marks": lambda size: "<|box_start|>" * (size // 13),
    "marked boxes": lambda size: "<ref>x</ref><box>(1,2),(3,4)</box>" * (size // 34),
    "numbers in marks": lambda size: "<|box_start|>" + "(1,2)," * (size // 6) + "x<|box_end|>",
    "words": lambda size: "there is nothing to see " * (size // 24),
    "anything": shuffled,
}  # fmt: skip


def seconds(text):
    """Return the shorter of two times, because the machine has other work."""
    times = []
    for _ in range(2):
        start = time.process_time()
        parse(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("name", GROWING)
def test_time_grows_as_the_text_does(name):
    short, long = (seconds(GROWING[name](size)) for size in (25_000, 100_000))
    assert long < 2
    assert long < 0.02 or long / short < 10  # 4 if linear, 16 if quadratic
