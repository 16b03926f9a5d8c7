"""LabelMe as its importer reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.labelme import LabelmeSource


def shape(kind: str | None, *points: Sequence[float], label: str = "cat", **more: object) -> dict[str, object]:
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind, **more}


def labelme(path: Path, *shapes: object, **more: object) -> Path:
    content = {"imagePath": "a.jpg", "imageData": "QUJD", "imageHeight": 480, "imageWidth": 640, "shapes": [*shapes]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | more), encoding="utf-8")
    return path


def read(path: Path, **settings: object) -> list[Annotated | Refused]:
    return [*LabelmeSource(path=str(path), **settings).read()]  # type: ignore[arg-type]


def one(path: Path, **settings: object) -> Annotated:
    (row,) = read(path, **settings)
    assert isinstance(row, Annotated)
    return row


KEYS = ("label", "points", "shape_type", "flags", "group_id", "description", "attributes")
TRIANGLE = ((1, 2), (3, 4), (5, 0))


@pytest.mark.parametrize(
    ("drawn", "kind", "numbers"),
    [
        (shape("rectangle", (1, 2), (30, 40)), "bbox_2d", (1, 2, 30, 40)),
        (shape("rectangle", (30, 40), (1, 2)), "bbox_2d", (30, 40, 1, 2)),  # dragged from below; the pipeline sorts
        (shape("rectangle", (1, 2), (30, 2), (30, 40), (1, 40)), "bbox_2d", (1, 2, 30, 40)),
        (shape("polygon", *TRIANGLE), "poly", (1, 2, 3, 4, 5, 0)),
        (shape(None, *TRIANGLE), "poly", (1, 2, 3, 4, 5, 0)),  # files of the first versions
        (shape("oriented_rectangle", (5, 0), (10, 5), (5, 10), (0, 5)), "poly", (5, 0, 10, 5, 5, 10, 0, 5)),
        (shape("rotation", (5, 0), (10, 5), (5, 10), (0, 5)), "poly", (5, 0, 10, 5, 5, 10, 0, 5)),
        (shape("line", (1, 2), (3, 4)), "line", (1, 2, 3, 4)),
        (shape("linestrip", *TRIANGLE), "line", (1, 2, 3, 4, 5, 0)),
        (shape("point", (1, 2)), "point", (1, 2)),
    ],
)
def test_each_shape_becomes_its_kind(tmp_path, drawn, kind, numbers):
    row = one(labelme(tmp_path / "a.json", drawn))
    assert (row.objects[0].kind, row.objects[0].parts) == (kind, (numbers,))
    assert (row.objects[0].label, row.width, row.height, row.repairs) == ("cat", 640, 480, ())


def test_a_circle_becomes_a_polygon_around_its_centre(tmp_path):
    row = one(labelme(tmp_path / "a.json", shape("circle", (100, 50), (103, 54))))
    numbers = row.objects[0].parts[0]
    assert row.objects[0].kind == "poly"
    assert (sum(numbers[::2]) / 16, sum(numbers[1::2]) / 16) == pytest.approx((100, 50))
    assert max(numbers[::2]) == pytest.approx(105, abs=0.2)
    assert row.repairs == ("circle_outlined",)


def test_words_about_a_shape_become_attributes(tmp_path):
    drawn = shape(
        "polygon",
        *TRIANGLE,
        flags={"old": True, "wet": False},
        description=" by the door ",
        group_id=3,
        attributes={"color": "red", "lit": True, "note": None},
    )
    path = labelme(tmp_path / "a.json", drawn, flags={"night": True, "blurred": False})
    added = {"color": "red", "lit": "true"}
    assert one(path).objects[0].attributes == {"old": "true", "description": "by the door", **added}
    assert one(path, extras=["group_id"]).objects[0].attributes == {"group_id": "3", **added}
    assert one(path).metadata == {"flags": ["night"]}


def test_shapes_of_one_group_can_be_the_parts_of_one_object(tmp_path):
    left, right = shape("polygon", *TRIANGLE, group_id=1), shape("polygon", (9, 9), (8, 8), (9, 8), group_id=1)
    others = shape("polygon", *TRIANGLE, group_id=2), shape("line", (1, 2), (3, 4), group_id=1), shape(None, *TRIANGLE)
    path = labelme(tmp_path / "a.json", left, *others, right)
    assert [len(found.parts) for found in one(path).objects] == [1] * 5
    row = one(path, merge_groups=True)
    assert [len(found.parts) for found in row.objects] == [2, 1, 1, 1]
    assert row.repairs == ("group_merged",)


@pytest.mark.parametrize(
    ("drawn", "code"),
    [
        (shape("mask", (1, 2), (3, 4), mask="iVBOR"), "mask"),
        (shape("hexagon", *TRIANGLE), "unknown_shape"),
        (shape("circle", (1, 2)), "bad_points"),
        (shape("circle", (1, float("nan")), (1, 2)), "bad_points"),
        (shape("rectangle", (1, 2), (30, 3), (30, 40), (1, 40)), "bad_points"),
        (shape("point", *TRIANGLE), "bad_points"),
        (shape("polygon"), "bad_points"),
        (shape("polygon", (1, "x"), (2, 3)), "bad_points"),  # type: ignore[arg-type]
        (shape("polygon", (1,), (2, 3)), "bad_points"),
        (shape("polygon", *TRIANGLE, label=""), "no_label"),
        (shape("polygon", *TRIANGLE) | {"label": 3}, "no_label"),
        (shape("polygon") | {"points": None}, "bad_points"),
        ([1, 2], "bad_shape"),
        (None, "bad_shape"),
        (shape("polygon", *TRIANGLE) | {"shape_type": ["polygon"]}, "unknown_shape"),
    ],
)
def test_a_shape_that_cannot_be_read_is_refused_and_the_others_stay(tmp_path, drawn, code):
    row = one(labelme(tmp_path / "a.json", drawn, shape("polygon", *TRIANGLE)))
    assert (len(row.objects), [(entry.code, entry.where) for entry in row.refused]) == (
        1,
        [(code, "a.json: shapes[0]")],
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["cat", "circle", "mask", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*KEYS, "other"]), inner, max_size=4),
    max_leaves=12,
)
shapes = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, values))


@settings(max_examples=60)
@given(content=st.lists(shapes | values, max_size=4), more=values)
def test_whatever_stands_in_a_file_every_shape_is_an_object_or_refused(tmp_path_factory, content, more):
    path = labelme(tmp_path_factory.getbasetemp() / "any.json", *content, flags=more, imageWidth=more)
    row = one(path)
    assert len(row.objects) + len(row.refused) == len(content)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad_json"),
        ("[]", "not_labelme"),
        ('{"images": [], "annotations": []}', "not_labelme"),
        ('{"imagePath": "", "shapes": []}', "not_labelme"),
        ('{"imagePath": "a.jpg", "shapes": {}}', "not_labelme"),
        ("[" * 100_000, "bad_json"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_refused_row(tmp_path, text, code):
    labelme(tmp_path / "b.json")
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    first, second = read(tmp_path)
    assert isinstance(first, Refused)
    assert isinstance(second, Annotated)
    assert (first.code, first.where) == (code, "a.json")


def test_a_file_that_is_no_utf_8_is_one_refused_row(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"imagePath": "\xff.jpg"}')
    assert [row.code for row in read(tmp_path) if isinstance(row, Refused)] == ["bad_utf8"]


@pytest.mark.parametrize(
    "more", [{"imageHeight": None}, {"imageWidth": 0}, {"imageWidth": "wide"}, {"imageWidth": 1.5}]
)
def test_a_size_that_is_missing_is_declared_by_nobody(tmp_path, more):
    row = one(labelme(tmp_path / "a.json", **more))
    assert (row.width, row.height) == (None, None)


def test_a_path_is_read_from_the_file_it_stands_in(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/猫 1.jpg").touch()
    path = labelme(tmp_path / "labels/a.json", imagePath="..\\images\\猫 1.jpg")
    assert one(path, images=str(tmp_path / "images")).image == "猫 1.jpg"
    assert one(path, images=str(tmp_path)).image == "images/猫 1.jpg"
    assert one(path).image == "../images/猫 1.jpg"  # outside the folder of the annotations: the pipeline says so
    assert one(path).repairs == ("backslashes",)


def test_folders_of_pictures_may_mirror_those_of_the_files(tmp_path):
    for folder in "ab":
        labelme(tmp_path / "json" / folder / "1.json", imagePath="1.jpg")
        (tmp_path / "img" / folder).mkdir(parents=True)
        (tmp_path / "img" / folder / "1.jpg").touch()
    rows = read(tmp_path / "json", images=str(tmp_path / "img"))
    assert [row.image for row in rows if isinstance(row, Annotated)] == ["a/1.jpg", "b/1.jpg"]


def test_an_unknown_extra_is_refused():
    with pytest.raises(ValueError, match="extras must be among flags, description, group_id, got color"):
        LabelmeSource(path=".", extras=["color"])
