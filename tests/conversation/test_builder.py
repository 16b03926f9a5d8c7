from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.conversation import BaseBuilder, DenseBuilder, parse_answer
from qvl.geometry import Box, canonical, shape_from_flat, to_grid
from qvl.records import ObjectRecord, Record, Source


@dataclass
class Prompts:
    system: str = "S"
    user: str = "U"
    image_label: str = "图片"


def record(*objects, image="/a.jpg", width=800, height=600):
    items = tuple(ObjectRecord(desc, shape_from_flat(key, numbers)) for desc, key, numbers in objects)
    return Record(images=(image,), objects=items, width=width, height=height, source=Source("rows.jsonl", 4))


FIRST = record(("type=fiber", "line", [30, 40, 10, 10]), ("type=device,brand=a", "bbox_2d", [100, 5, 300, 400]))
SECOND = record(("标签/无法识别", "poly", [0, 30, 50, 30, 50, 0, 0, 0]), image="/b.jpg", width=1000, height=1000)


def test_one_record_becomes_one_flat_conversation():
    built = DenseBuilder(prompts=Prompts()).build(FIRST)
    assert built["images"] == ["/a.jpg"]
    assert [turn["role"] for turn in built["messages"]] == ["system", "user", "assistant"]
    assert built["messages"][-1]["content"] == (
        '{"object_1": {"desc": "type=device,brand=a", "bbox_2d": [125, 8, 375, 667]}, '
        '"object_2": {"desc": "type=fiber", "line": [13, 17, 38, 67]}}'
    )
    assert built["objects"] == {
        "ref": ["device", "fiber"],
        "bbox": [[100, 5, 300, 400], [10, 10, 30, 40]],
        "image_id": [0, 0],
        "bbox_type": "real",
    }


def test_several_records_become_one_grouped_conversation():
    built = DenseBuilder(prompts=Prompts(image_label="image")).build(FIRST, SECOND)
    assert built["images"] == ["/a.jpg", "/b.jpg"]
    assert built["messages"][-1]["content"].startswith('{"image_1": {"object_1": ')
    assert built["messages"][-1]["content"].endswith(
        '"image_2": {"object_1": {"desc": "标签/无法识别", "poly": [0, 0, 50, 0, 50, 30, 0, 30]}}}'
    )
    assert built["objects"]["ref"] == ["device", "fiber", "标签"]
    assert built["objects"]["image_id"] == [0, 0, 1]
    assert built["objects"]["bbox"][2] == [0, 0, 50, 0, 50, 30, 0, 30]


def test_pictures_replace_the_paths():
    first, second = object(), object()
    built = DenseBuilder(prompts=Prompts()).build(FIRST, SECOND, pictures=[first, second])
    assert built["images"] == [first, second]
    assert [part["image"] for part in built["messages"][1]["content"] if part["type"] == "image"] == [first, second]


def test_a_prompt_is_the_conversation_without_its_answer():
    builder = DenseBuilder(prompts=Prompts())
    built, prompt = builder.build(FIRST, SECOND), builder.prompt(FIRST, SECOND)
    assert prompt["messages"] == built["messages"][:-1]
    assert (prompt["images"], prompt["objects"]) == (built["images"], built["objects"])


@pytest.mark.parametrize("emit_norm", ["none", "norm100", "norm1000"])
@pytest.mark.parametrize("order", ["tlbr", "center", "none"])
@settings(max_examples=25)
@given(boxes=st.lists(st.tuples(*[st.floats(0, 300)] * 2, *[st.floats(0.5, 300)] * 2), max_size=5))
def test_the_pixel_contract_is_what_the_answer_says(emit_norm, order, boxes):
    made = record(*((f"no={number}", "bbox_2d", [x, y, x + w, y + h]) for number, (x, y, w, h) in enumerate(boxes)))
    built = DenseBuilder(prompts=Prompts(), emit_norm=emit_norm, order=order).build(made)
    [items] = parse_answer(built["messages"][-1]["content"], image_label="图片").images
    assert [item.desc.removeprefix("no=") for item in items] == built["objects"]["ref"]
    for item, pixels in zip(items, built["objects"]["bbox"], strict=True):
        grid = {"none": None, "norm100": 100, "norm1000": 1000}[emit_norm]
        assert item.numbers == (tuple(pixels) if grid is None else to_grid(pixels, width=800, height=600, grid=grid))
        assert canonical(Box(*pixels)).flat() == tuple(pixels)


ring = st.lists(st.tuples(st.integers(0, 800), st.integers(0, 600)), min_size=3, max_size=6)
drawn = st.one_of(
    ring.map(lambda points: ("poly", [*points, points[0]])),  # closed by its first vertex, which is not written twice
    ring.map(lambda points: ("poly", points)),
    ring.map(lambda points: ("line", points)),
)


@pytest.mark.parametrize("emit_norm", ["none", "norm1000"])
@given(shapes=st.lists(drawn, max_size=12))
@settings(max_examples=50)
def test_what_is_counted_has_the_characters_of_the_answer(emit_norm, shapes):
    objects = [
        (f"a{number}", key, [value for point in points for value in point])
        for number, (key, points) in enumerate(shapes)
    ]
    builder = DenseBuilder(prompts=Prompts(), emit_norm=emit_norm)
    answer = builder.build(record(*objects))["messages"][-1]["content"]
    assert sorted(builder.answer_to_count(record(*objects))) == sorted(answer)


def test_records_are_not_changed():
    before = replace(FIRST)
    DenseBuilder(prompts=Prompts()).build(FIRST)
    assert before == FIRST


@pytest.mark.parametrize("wrong", [{"emit_norm": "norm500"}, {"order": "random"}])
def test_unknown_choices_are_refused_at_once(wrong):
    with pytest.raises(ValueError, match="must be one of"):
        DenseBuilder(prompts=Prompts(), **wrong)


def test_a_turn_needs_records_with_one_image_each():
    builder = DenseBuilder(prompts=Prompts())
    with pytest.raises(ValueError, match="at least one picture"):
        builder.build()
    with pytest.raises(ValueError, match="at least one picture"):
        builder.prompt()
    with pytest.raises(ValueError, match=r"rows\.jsonl:4: .* got 2"):
        builder.build(replace(FIRST, images=("/a.jpg", "/b.jpg")))
    with pytest.raises(ValueError, match="1 pictures for 2 records"):
        builder.build(FIRST, SECOND, pictures=["one"])


def test_a_builder_must_say_how_it_builds():
    with pytest.raises(TypeError, match="build"):
        BaseBuilder()
