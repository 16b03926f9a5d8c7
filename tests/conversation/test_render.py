import pytest

from qvl.conversation import TextObject, render_answer, text_objects
from qvl.geometry import shape_from_flat
from qvl.records import ObjectRecord, Record, Source

DEVICE = TextObject("BBU设备/华为,只显示部分", "bbox_2d", (125, 333, 375, 667))
FIBER = TextObject("光纤/有保护", "line", (12, 17, 25, 33, 38, 67))
LABEL = TextObject("标签/无法识别", "poly", (0, 0, 50, 0, 50, 30, 0, 30))


def record(*objects, width=800, height=600):
    items = tuple(ObjectRecord(desc, shape_from_flat(key, numbers)) for desc, key, numbers in objects)
    return Record(images=("/a.jpg",), objects=items, width=width, height=height, source=Source("rows.jsonl", 1))


def test_one_picture_is_written_flat():
    assert render_answer([[DEVICE, FIBER]], image_label="图片") == (
        '{"object_1": {"desc": "BBU设备/华为,只显示部分", "bbox_2d": [125, 333, 375, 667]}, '
        '"object_2": {"desc": "光纤/有保护", "line": [12, 17, 25, 33, 38, 67]}}'
    )


def test_several_pictures_are_written_in_groups():
    assert render_answer([[DEVICE, FIBER], [LABEL]], image_label="图片") == (
        '{"图片_1": {"object_1": {"desc": "BBU设备/华为,只显示部分", "bbox_2d": [125, 333, 375, 667]}, '
        '"object_2": {"desc": "光纤/有保护", "line": [12, 17, 25, 33, 38, 67]}}, '
        '"图片_2": {"object_1": {"desc": "标签/无法识别", "poly": [0, 0, 50, 0, 50, 30, 0, 30]}}}'
    )


def test_pictures_without_objects_keep_their_place():
    assert render_answer([[]], image_label="图片") == "{}"
    assert render_answer([[], []], image_label="image") == '{"image_1": {}, "image_2": {}}'


@pytest.mark.parametrize(
    ("images", "label", "message"),
    [([], "图片", "at least one picture"), ([[]], "object", "other than 'object'"), ([[]], " ", "other than 'object'")],
)
def test_answers_that_could_not_be_read_back_are_refused(images, label, message):
    with pytest.raises(ValueError, match=message):
        render_answer(images, image_label=label)


def test_objects_are_canonical_then_ordered_then_on_the_grid():
    written = text_objects(
        record(
            ("line", "line", [300, 400, 100, 500]),
            ("poly", "poly", [0, 30, 50, 30, 50, 0, 0, 0]),  # counter-clockwise, from the bottom left
            ("box", "bbox_2d", [100, 200, 300, 400]),
        )
    )
    assert written == (
        TextObject("poly", "poly", (0, 0, 63, 0, 63, 50, 0, 50)),  # 62.5 is rounded up
        TextObject("box", "bbox_2d", (125, 333, 375, 667)),
        TextObject("line", "line", (125, 833, 375, 667)),
    )


@pytest.mark.parametrize(
    ("emit_norm", "numbers"),
    [("none", (100, 200.5, 800, 600)), ("norm100", (13, 33, 100, 100)), ("norm1000", (125, 334, 1000, 1000))],
)
def test_emit_norm_chooses_the_units(emit_norm, numbers):
    [item] = text_objects(record(("x", "bbox_2d", [100, 200.5, 800, 600])), emit_norm=emit_norm)
    assert item.numbers == numbers
    assert [type(number) for number in item.numbers] == [type(number) for number in numbers]


def test_order_none_keeps_the_order_of_the_row():
    low, high = ("low", "bbox_2d", [0, 500, 9, 509]), ("high", "bbox_2d", [0, 0, 9, 9])
    assert [item.desc for item in text_objects(record(low, high), order="none")] == ["low", "high"]
    assert [item.desc for item in text_objects(record(low, high), order="center")] == ["high", "low"]


@pytest.mark.parametrize("wrong", [{"emit_norm": "norm500"}, {"order": "random"}])
def test_unknown_choices_are_listed(wrong):
    with pytest.raises(ValueError, match=r"must be one of .*none"):
        text_objects(record(), **wrong)
