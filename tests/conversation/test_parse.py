import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import LABEL, drawn_answers, parse

from qvl.conversation import MAX_IMAGES, TextObject, render_answer

BOX = TextObject("x", "bbox_2d", (1, 2, 3, 4))
BOX_TEXT = '{"desc": "x", "bbox_2d": [1, 2, 3, 4]}'

PIECES = [
    '"object_2": {"desc"',
    '}, "图片_2": {',
    "\\",
    '\\"',
    "]}",
    "```json",
    "\u2028",
    "文本=NR{9}",
    "",
    "😀",
    "\x00\n",
]
tricky = st.sampled_from(PIECES)
descs = st.one_of(st.text(max_size=12), st.lists(st.one_of(tricky, st.text(max_size=3)), max_size=4).map("".join))
numbers = st.one_of(st.integers(0, 1000), st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9))
answers = drawn_answers(descs, numbers)
labels = st.one_of(st.just(LABEL), st.sampled_from(["image", "objects", "pic.*", "a_1", '"']))


def codes(text):
    return [fault.code for fault in parse(text).faults]


def types(images):
    return [[type(number) for number in item.numbers] for objects in images for item in objects]


@settings(max_examples=200)
@given(answers, labels)
def test_parse_undoes_render(images, label):
    answer = parse(render_answer(images, image_label=label), label)
    assert answer.images == images
    assert answer.faults == ()
    assert types(answer.images) == types(images)


@settings(max_examples=60, deadline=None)
@given(answers)
def test_a_cut_off_answer_keeps_exactly_its_complete_objects(images):
    text = render_answer(images, image_label=LABEL)
    ends = object_ends(text, images)
    for size in range(len(text)):
        answer = parse(text[:size])
        kept = [item for objects in answer.images for item in objects]
        assert kept == [item for objects in images for item in objects][: sum(end <= size for end in ends)]
        assert [fault.code for fault in answer.faults] == ["truncated" if size else "not_json"]
        assert len(answer.images) <= len(images)
        assert all(items == whole[: len(items)] for items, whole in zip(answer.images, images, strict=False))


def object_ends(text, images):
    """Return where each object of a rendered answer ends, by searching for its text from left to right."""
    ends, position = [], 0
    for items in images:
        for number, item in enumerate(items, 1):
            body = json.dumps({"desc": item.desc, item.key: list(item.numbers)}, ensure_ascii=False)
            member = f'"object_{number}": {body}'
            position = text.index(member, position) + len(member)
            ends.append(position)
    return ends


@settings(max_examples=300)
@given(st.text(alphabet='{}[]":,\\ \n0123456789.eE+-objectdesclinepoy_图片', max_size=60), labels)
def test_any_text_is_parsed(text, label):
    answer = parse(text, label)
    assert answer.images
    assert isinstance(answer.faults, tuple)


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["x", "\ud800", json.loads(BOX_TEXT)])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["object_1", "object_2", "图片_1", "图片_0", "desc", "poly", "line", "bbox_2d"]), inner
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(json_values)
def test_any_json_is_parsed_and_no_faults_means_it_can_be_written_again(value):
    answer = parse(json.dumps(value))
    if not answer.faults:
        again = json.loads(render_answer(answer.images, image_label=LABEL))
        assert list(again.values()) == list(value.get("图片_1", value).values())


@settings(max_examples=100)
@given(answers, st.data())
def test_damage_to_one_character_is_survived(images, data):
    text = render_answer(images, image_label=LABEL)
    at = data.draw(st.integers(0, len(text) - 1))
    parse(text[:at] + data.draw(st.sampled_from('{}[]",:0x\\ ')) + text[at + 1 :])


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("{}", []),  # nothing seen is an answer
        (f'{{"object_1": {BOX_TEXT}}}', []),
        (f' {{\n"object_1" :{BOX_TEXT}}}\n', []),  # blanks as JSON has them
        (f'{{"图片_1": {{"object_1": {BOX_TEXT}}}}}', []),
        ("", ["not_json"]),
        ("   ", ["not_json"]),
        ("I see nothing.", ["not_json"]),
        ("[]", ["list_form"]),
        ("null", ["not_json"]),
        ("{", ["truncated"]),
        ('{"object_1": {"desc": "a \\', ["truncated"]),
        (f'```json\n{{"object_1": {BOX_TEXT}}}\n```', ["text_around", "text_around"]),
        (f'Here {{it}} is: {{"object_1": {BOX_TEXT}}}', ["text_around"]),
        (f'<think>\n</think>{{"object_1": {BOX_TEXT}}} done', ["text_around", "text_around"]),
        (f'\ufeff{{"object_1": {BOX_TEXT}}}', ["text_around"]),
        (f'{{"object_1": {BOX_TEXT},}}', ["not_strict_json"]),
        (f'{{"object_1": {BOX_TEXT} "object_2": {BOX_TEXT}}}', ["not_strict_json"]),
        (f'{{"图片_1": {{"object_1": {BOX_TEXT}, "图片_2": {{}}}}', ["not_strict_json"]),  # a brace is missing
        (f'{{"object_1": {BOX_TEXT}, "object_1": {BOX_TEXT}}}', ["duplicate_key"]),
        (f'{{"图片_1": {{"object_1": {BOX_TEXT}}}, "图片_1": {{}}}}', ["duplicate_key"]),
        (f'{{"object_1": {BOX_TEXT}, "图片_2": {{}}}}', ["mixed_grouping"]),
        (f'{{"图片_1": {{}}, "object_1": {BOX_TEXT}, "object_2": {BOX_TEXT}}}', ["mixed_grouping"]),
        ('{"图片_0": {}}', ["bad_image_number"]),
        (f'{{"图片_{MAX_IMAGES + 1}": {{"object_1": {BOX_TEXT}}}}}', ["bad_image_number"]),
        ('{"图片_1": []}', ["list_form"]),
        ('{"device": 1}', ["unknown_key"]),
        (BOX_TEXT, ["bare_object"]),
        ('{"object_1": 3}', ["not_an_object"]),
        ('{"object_1": [1, 2, 3, 4]}', ["not_an_object"]),
        ('{"object_1": {}}', ["bad_desc"]),
        ('{"object_1": {"desc": 3, "line": [1, 2, 3, 4]}}', ["bad_desc"]),
        ('{"object_1": {"desc": "\\ud800", "line": [1, 2, 3, 4]}}', ["bad_desc"]),
        ('{"object_1": {"desc": "x"}}', ["geometry_count"]),
        ('{"object_1": {"desc": "x", "line": [1, 2, 3, 4], "bbox_2d": [1, 2, 3, 4]}}', ["geometry_count"]),
        ('{"object_1": {"desc": "x", "line": [1, 2, 3, 4], "line": [1, 2, 3, 4]}}', ["duplicate_key"]),
        ('{"object_1": {"desc": "x", "line": [1, 2, 3, 4], "score": 1}}', ["unknown_key"]),
        ('{"object_1": {"desc": "x", "line": [1, 2, 3]}}', ["bad_numbers"]),
        ('{"object_1": {"desc": "x", "poly": [1, 2, 3, 4]}}', ["bad_numbers"]),
        ('{"object_1": {"desc": "x", "bbox_2d": [[1, 2], [3, 4]]}}', ["nested_numbers"]),
        ('{"object_1": {"desc": "x", "bbox_2d": [1, 2, 3, true]}}', ["bad_numbers"]),
        ('{"object_1": {"desc": "x", "bbox_2d": [1, 2, 3, "4"]}}', ["bad_numbers"]),
        ('{"object_1": {"desc": "x", "bbox_2d": [1, 2, 3, NaN]}}', ["bad_numbers"]),
        ('{"object_1": {"desc": "x", "bbox_2d": [1, 2, 3, 1e999]}}', ["bad_numbers"]),
        ('{"object_1": {"desc": "x", "bbox_2d": [1, 2, 3, ' + "9" * 5000 + "]}}", ["bad_numbers"]),
        ('{"object_1": {"desc": "x", "bbox_2d": "1, 2, 3, 4"}}', ["bad_numbers"]),
        ('{"object_1": {"desc": "x", "bbox_2d": [1, 2, 3, 4}}', ["malformed"]),
        ("{object_1: 1}", ["malformed"]),
        ('{"object_1": {"desc": "a\nb", "bbox_2d": [1, 2, 3, 4]}}', ["not_strict_json"]),  # a raw line break
    ],
)  # fmt: skip
def test_parse_reports_faults(text, faults):
    assert codes(text) == faults


@pytest.mark.parametrize(
    "text",
    [
        f'```json\n{{"object_1": {BOX_TEXT}, "object_2": {BOX_TEXT}}}\n```',
        f'{{"object_1": {BOX_TEXT}, "object_1": {BOX_TEXT}}}',
        f'{{"object_1": {BOX_TEXT}, "note": {{"a": [1]}}, "object_2": {BOX_TEXT}, }}',
        f'{{"object_1": {BOX_TEXT}, "object_2": {{"desc": "x", "bbox_2d": [1, 2, 3, 4}}, "object_3": {BOX_TEXT}}}',
        f'{{"object_1": {BOX_TEXT}, "object_2": {{"desc": "5" pipe", "line": [1]}}, "object_3": {BOX_TEXT}}}',
        f'{{"object_1": {BOX_TEXT}, "object_2": {{"desc": "cut, "object_3": {BOX_TEXT}}}',
        f'{{"object_7": {BOX_TEXT}, "object_10": {BOX_TEXT}',
        f'{{"图片_1": {{"object_1": {BOX_TEXT}, "object_2": {BOX_TEXT}}}',
    ],
)
def test_what_is_whole_survives_what_is_not(text):
    answer = parse(text)
    assert answer.images == ((BOX, BOX),)
    assert answer.faults


def test_malformed_objects_do_not_move_others_to_another_picture():
    text = f'{{"图片_1": {{"object_1": {{"desc": x}}}}, "图片_2": {{"object_1": {BOX_TEXT}}}}}'
    assert parse(text).images == ((), (BOX,))


def test_pictures_that_are_skipped_stay_empty():
    assert parse(f'{{"图片_3": {{"object_1": {BOX_TEXT}}}}}').images == ((), (), (BOX,))


def test_objects_keep_the_order_of_the_text():
    text = '{"object_10": {"desc": "a", "line": [1, 2, 3, 4]}, "object_2": {"desc": "b", "line": [1, 2, 3, 4]}}'
    assert [item.desc for item in parse(text).images[0]] == ["a", "b"]


def test_faults_say_where():
    text = '{"图片_1": {}, "图片_2": {"object_1": {"desc": "x", "line": [1]}}'
    assert [fault.where for fault in parse(text).faults] == ["图片_2.object_1", f"character {len(text) + 1}"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 100_000,
        '{"object_1": ' * 20_000,
        '{"图片_1": ' * 20_000,
        '{"object_1": {"x": [' * 20_000,
        '{"object_1": {"desc": "' * 20_000,
        '{"' + '\\"' * 100_000,
        "{" + '"object_1": {"desc":"a","bbox_2d":[1,2}, ' * 5_000,
        '{"object_1": {"desc": "x", "poly": [' + "1, " * 100_000,
    ],
)
def test_nonsense_is_read_in_little_time(text):
    start = time.process_time()
    assert parse(text).faults
    assert time.process_time() - start < 2
