"""Label Studio as its importer reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.label_studio import LabelStudioSource
from qvl.conversion.formats.label_studio_regions import read_regions

WIDTH, HEIGHT = 1000, 500


def result(value: Mapping[str, object], kind: str = "rectanglelabels", **more: object) -> dict[str, object]:
    labels = {kind: ["cat"]} if kind.endswith("labels") and kind not in value else {}
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"id": "r1", "type": kind, "from_name": "label", "value": {**value, **labels}, **size, **more}


def rectangle(
    x: float, y: float, width: float, height: float, rotation: float = 0, **more: object
) -> dict[str, object]:
    return result({"x": x, "y": y, "width": width, "height": height, "rotation": rotation}, **more)


def task(*results: object, image: object = "a.jpg", **more: object) -> dict[str, object]:
    return {"id": 7, "data": {"image": image}, "annotations": [{"id": 1, "result": list(results)}], **more}


def read(folder: Path, content: object, **settings: object) -> list[Annotated | Refused]:
    path = folder / "export.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return [*LabelStudioSource(path=str(path), **settings).read()]  # type: ignore[arg-type]


def one(folder: Path, content: object, **settings: object) -> Annotated:
    (row,) = read(folder, content, **settings)
    assert isinstance(row, Annotated)
    return row


def pixels(row: Annotated, index: int = 0) -> list[float]:
    """Return the numbers of the first part of an object in pixels."""
    assert row.unit == "share"
    numbers = row.objects[index].parts[0]
    return [value * (HEIGHT if place % 2 else WIDTH) for place, value in enumerate(numbers)]


def codes(entries: Sequence[object]) -> list[str]:
    return [entry.code for entry in entries if isinstance(entry, Refused)]


def test_percent_become_shares_of_the_declared_size(tmp_path):
    row = one(tmp_path, [task(rectangle(10, 20, 30, 40))])
    assert pixels(row) == pytest.approx([100, 100, 400, 300])
    assert (row.image, row.width, row.height, row.objects[0].label) == ("a.jpg", WIDTH, HEIGHT, "cat")
    assert (row.objects[0].kind, row.where, row.repairs) == ("bbox_2d", "export.json: tasks[0]", ())


def test_a_rectangle_is_turned_about_its_top_left_corner_in_pixels(tmp_path):
    row = one(tmp_path, [task(rectangle(20, 20, 30, 20, 90), rectangle(10, 20, 10, 60, id="r2"))])
    assert pixels(row) == pytest.approx([100, 100, 200, 400])
    assert pixels(row) == pytest.approx(pixels(row, 1))
    assert row.repairs == ("box_turned",)


@given(x=st.floats(0, 90), y=st.floats(0, 90), width=st.floats(1, 50), height=st.floats(1, 50), turn=st.floats(1, 89))
def test_the_corners_of_a_turned_rectangle_are_the_turned_corners(x, y, width, height, turn):
    regions = read_regions([rectangle(x, y, width, height, turn)], "")
    ((points,),) = (each.parts for each in regions.objects)
    found = np.array(points).reshape(4, 2) * (WIDTH, HEIGHT)
    left, top, across, down = x * WIDTH / 100, y * HEIGHT / 100, width * WIDTH / 100, height * HEIGHT / 100
    corners = np.array([0, across, across + 1j * down, 1j * down]) * np.exp(1j * np.radians(turn)) + left + 1j * top
    assert np.allclose(found @ (1, 1j), corners)  # y points down, so a positive turn is clockwise on the screen


def test_a_turn_about_the_full_circle_is_none_and_one_back_is_most_of_it(tmp_path):
    row = one(tmp_path, [task(rectangle(50, 50, 10, 10, 360), rectangle(50, 50, 10, 10, -90, id="r2"))])
    assert pixels(row) == pytest.approx([500, 250, 600, 300])
    assert pixels(row, 1) == pytest.approx([500, 150, 550, 250])


def test_a_turned_shape_without_a_size_is_refused_and_a_straight_one_is_not(tmp_path):
    sizes = {"original_width": None, "original_height": None}
    row = one(tmp_path, [task(rectangle(1, 1, 2, 2, 30, **sizes), rectangle(1, 1, 2, 2, id="r2", **sizes))])
    assert codes(row.refused) == ["turned_without_size"]
    assert (len(row.objects), row.width, row.height) == (1, None, None)


def test_polygons_points_and_vectors_keep_their_kinds(tmp_path):
    points = [[10, 10], [20, 10], [20, 30]]
    vertices = [{"x": 1, "y": 2, "isBezier": False}, {"x": 3, "y": 4, "isBezier": True}, {"x": 5, "y": 9}]
    row = one(
        tmp_path,
        [
            task(
                result({"points": points, "closed": True}, "polygonlabels"),
                result({"x": 50, "y": 50, "width": 2}, "keypointlabels", id="r2"),
                result({"vertices": vertices, "closed": False}, "vectorlabels", id="r3"),
                result({"shape": vertices, "closed": True}, "vectorlabels", id="r4"),
            )
        ],
    )
    assert [each.kind for each in row.objects] == ["poly", "point", "line", "poly"]
    assert pixels(row, 0) == pytest.approx([100, 50, 200, 50, 200, 150])
    assert pixels(row, 2) == pytest.approx([10, 10, 30, 20, 50, 45])
    assert row.repairs == ("curve_straightened", "curve_straightened")


def test_an_ellipse_has_its_centre_axes_and_area(tmp_path):
    row = one(tmp_path, [task(result({"x": 50, "y": 50, "radiusX": 10, "radiusY": 10}, "ellipselabels"))])
    points = np.array(pixels(row)).reshape(-1, 2)
    assert points.mean(axis=0) == pytest.approx([500, 250])
    assert np.ptp(points, axis=0) == pytest.approx([200, 100], rel=0.03)


def test_a_turned_ellipse_lies_across(tmp_path):
    value = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10, "rotation": 90}
    row = one(tmp_path, [task(result(value, "ellipselabels"))])
    assert np.ptp(np.array(pixels(row)).reshape(-1, 2), axis=0) == pytest.approx([100, 200], rel=0.03)


def test_a_brush_is_refused_once_a_region_and_the_rest_is_kept(tmp_path):
    brush = result({"format": "rle", "rle": [1, 2]}, "brushlabels", id="b")
    row = one(tmp_path, [task(brush, rectangle(1, 1, 2, 2))])
    assert codes(row.refused) == ["brush"]
    assert len(row.objects) == 1


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (rectangle(1, 1, 2, 2, id="x") | {"value": {"x": 1, "y": 1, "width": 2, "height": 2}}, "no_label"),
        (result({"x": "left", "y": 1, "width": 2, "height": 2}), "not_a_number"),
        (result({"points": [[1], [2]]}, "polygonlabels"), "not_a_number"),
        (result({"sequence": []}, "videorectangle"), "unknown_shape"),
        (result({"start": 1, "end": 2}, "labels"), "unknown_shape"),
        ("no region", "unknown_shape"),
    ],
)
def test_a_region_that_cannot_be_read_is_refused_with_a_reason(tmp_path, entry, code):
    row = one(tmp_path, [task(entry)])
    assert codes(row.refused) == [code]
    assert row.objects == ()


def test_shape_label_and_questions_of_a_region_are_one_object(tmp_path):
    shape = {"x": 1, "y": 1, "width": 2, "height": 2}
    row = one(
        tmp_path,
        [
            task(
                result(shape, "rectangle"),
                result({**shape, "labels": ["cable"]}, "labels"),
                result({**shape, "choices": ["red", "new"]}, "choices", from_name="look"),
                result({**shape, "text": ["read me"]}, "textarea", from_name="note"),
                result({**shape, "taxonomy": [["a", "b"], ["c"]]}, "taxonomy", from_name="kind"),
                {"type": "relation", "from_id": "r1", "to_id": "r1"},
            )
        ],
    )
    (found,) = row.objects
    assert (found.label, dict(found.attributes)) == ("cable", {"look": "red/new", "note": "read me", "kind": "a>b/c"})
    assert row.repairs == ("relation_ignored",)


def test_of_several_labels_the_first_is_the_category(tmp_path):
    shape = {"x": 1, "y": 1, "width": 2, "height": 2, "rectanglelabels": ["cat", "dog"]}
    row = one(tmp_path, [task(result(shape))])
    assert (row.objects[0].label, dict(row.objects[0].attributes)) == ("cat", {"other_labels": "dog"})
    assert row.repairs == ("several_labels",)


def test_answers_about_the_whole_picture_are_kept_and_one_can_be_the_summary(tmp_path):
    choice = {"id": "c", "type": "choices", "from_name": "scene", "value": {"choices": ["indoor"]}}
    text = {"id": "t", "type": "textarea", "from_name": "caption", "value": {"text": ["a room"]}}
    row = one(tmp_path, [task(choice, text)], summary="caption")
    assert row.metadata == {"task": 7, "answers": {"scene": "indoor", "caption": "a room"}}
    assert (row.summary, row.objects) == ("a room", ())


def test_the_latest_annotation_counts_and_cancelled_ones_never(tmp_path):
    entries = [
        {"id": 1, "updated_at": "2024-05-02", "result": [rectangle(1, 1, 1, 1), rectangle(2, 2, 2, 2, id="r2")]},
        {"id": 2, "updated_at": "2024-05-01", "result": []},
        {"id": 3, "updated_at": "2024-05-09", "was_cancelled": True, "result": [rectangle(1, 1, 1, 1)]},
    ]
    content = task(annotations=entries)
    assert len(one(tmp_path, [content]).objects) == 2
    assert sorted(one(tmp_path, [content]).repairs) == ["annotation_cancelled", "other_annotation_ignored"]
    assert len(one(tmp_path, [content], pick="first").objects) == 2
    entries[1]["ground_truth"] = True
    assert one(tmp_path, [content]).objects == ()


def test_all_annotations_can_be_joined_though_they_share_ids(tmp_path):
    entries = [{"id": number, "result": [rectangle(number, 1, 1, 1)]} for number in (1, 2)]
    row = one(tmp_path, [task(annotations=entries)], pick="all")
    assert [each.parts[0][0] for each in row.objects] == [0.01, 0.02]


def test_predictions_are_read_on_request(tmp_path):
    content = task(predictions=[{"result": [rectangle(5, 5, 5, 5)]}], annotations=[])
    assert codes(read(tmp_path, [content])) == ["not_annotated"]
    assert len(one(tmp_path, [content], use="predictions").objects) == 1


def test_a_task_that_was_only_cancelled_is_refused(tmp_path):
    assert codes(read(tmp_path, [task(annotations=[{"was_cancelled": True, "result": []}])])) == ["cancelled"]


@pytest.mark.parametrize(
    "content",
    [
        {"id": 7, "data": {"image": "a.jpg"}, "completions": [{"result": [rectangle(1, 1, 1, 1)]}]},
        {"id": 3, "result": [rectangle(1, 1, 1, 1)], "task": {"id": 7, "data": {"image": "a.jpg"}}},
        {
            "id": 7,
            "image": "a.jpg",
            "label": [
                {
                    "x": 1,
                    "y": 1,
                    "width": 1,
                    "height": 1,
                    "rectanglelabels": ["cat"],
                    "original_width": 9,
                    "original_height": 9,
                }
            ],
            "scene": "indoor",
        },
    ],
    ids=["before 1.0", "target storage", "minimal"],
)
def test_the_other_forms_of_a_task_are_read_as_well(tmp_path, content):
    row = one(tmp_path, content)
    assert (row.image, row.objects[0].label, row.metadata["task"]) == ("a.jpg", "cat", 7)


def test_something_else_than_tasks_is_refused(tmp_path):
    assert codes(read(tmp_path, [{"images": []}, 3])) == ["not_label_studio"] * 2


@pytest.mark.parametrize(
    ("address", "path", "repairs"),
    [
        ("/data/local-files/?d=set%20one/b%C3%A4r.jpg", "set one/bär.jpg", ()),
        ("/data/upload/3/1a2b3c4d-a.jpg", "3/1a2b3c4d-a.jpg", ()),
        ("http://localhost:8080/data/upload/3/1a2b3c4d-a.jpg", "3/1a2b3c4d-a.jpg", ("path_from_url",)),
        ("s3://bucket/set/a.jpg", "set/a.jpg", ("path_from_url",)),
    ],
)
def test_addresses_of_pictures_become_paths(tmp_path, address, path, repairs):
    row = one(tmp_path, [task(image=address)])
    assert (row.image, row.repairs) == (path, repairs)


def test_the_prefix_of_an_upload_can_be_left_out(tmp_path):
    (tmp_path / "a.jpg").touch()
    content = [task(image="/data/upload/3/1a2b3c4d-a.jpg")]
    assert one(tmp_path, content, strip_upload_prefix=True).image == "3/a.jpg"


def test_the_key_of_the_picture_is_found_or_given(tmp_path):
    content = task() | {"data": {"text": "hello", "url": "x.html", "scan": "b.png"}}
    assert one(tmp_path, [content]).image == "b.png"
    assert one(tmp_path, [content], image_key="url").image == "x.html"
    assert codes(read(tmp_path, [content], image_key="photo")) == ["no_picture_named"]


def test_a_task_of_several_pictures_is_a_row_for_each(tmp_path):
    first, second = rectangle(1, 1, 1, 1), rectangle(2, 2, 2, 2, id="r2", item_index=1)
    rows = read(tmp_path, [task(first, second, image=["a.jpg", "b.jpg"])])
    found = [(row.image, len(row.objects), row.where) for row in rows if isinstance(row, Annotated)]
    assert found == [("a.jpg", 1, "export.json: tasks[0]: picture 0"), ("b.jpg", 1, "export.json: tasks[0]: picture 1")]


@pytest.mark.parametrize("settings", [{"use": "drafts"}, {"pick": "best"}])
def test_an_unknown_setting_is_refused(settings):
    with pytest.raises(ValueError, match="must be one of"):
        LabelStudioSource(path="x", **settings)
