"""COCO instances and LVIS."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from qvl.conversion.annotated import Annotated, Refused
from qvl.conversion.formats.coco import CocoSource
from qvl.conversion.formats.lvis import LvisSource
from qvl.errors import RecordError

IMAGE = {"id": 1, "file_name": "a.jpg", "width": 7, "height": 6}
CATEGORY = {"id": 3, "name": "cup", "supercategory": "kitchen"}
TRIANGLE = [1, 1, 5, 1, 5, 5]
MASK = {"size": [6, 7], "counts": [13, 2, 4, 2, 4, 2, 15]}  # columns 2 to 4, rows 1 and 2


def annotation(**fields: object) -> dict[str, object]:
    return {"id": 9, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], **fields}


def content(*annotations: object, images: Sequence[object] = (IMAGE,), **more: object) -> dict[str, object]:
    return {"images": list(images), "annotations": list(annotations), "categories": [CATEGORY], **more}


def read(folder: Path, value: object, source: type[CocoSource] = CocoSource, **options: Any) -> list[Any]:
    path = folder / "instances_val2017.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return list(source(path=str(path), **options).read())


def picture(folder: Path, *annotations: object) -> Annotated:
    (found,) = read(folder, content(*annotations))
    assert isinstance(found, Annotated)
    return found


def test_a_picture_comes_with_its_size_split_and_objects(tmp_path: Path) -> None:
    found = picture(tmp_path, annotation(attributes={"color": "red", "old": True, "n": 2, "odd": []}))
    assert (found.image, found.width, found.height, found.split) == ("a.jpg", 7, 6, "val")
    assert found.where == "instances_val2017.json: images[0]"
    (cup,) = found.objects
    assert (cup.label, cup.supercategory, cup.kind, cup.parts) == ("cup", "kitchen", "bbox_2d", ((1, 2, 4, 6),))
    assert cup.attributes == {"color": "red", "old": "true", "n": "2"}
    assert cup.where == "instances_val2017.json: annotations[0]"


@pytest.mark.parametrize(
    ("fields", "kind", "parts", "repairs"),
    [
        ({"segmentation": [TRIANGLE]}, "poly", (tuple(TRIANGLE),), ()),
        ({"segmentation": TRIANGLE}, "poly", (tuple(TRIANGLE),), ()),  # flat, as some tools write it
        ({"segmentation": [TRIANGLE, TRIANGLE]}, "poly", (tuple(TRIANGLE), tuple(TRIANGLE)), ()),
        ({"segmentation": [TRIANGLE, [1, 2]]}, "poly", (tuple(TRIANGLE),), ("bad_part_left_out",)),
        ({"segmentation": []}, "bbox_2d", ((1, 2, 4, 6),), ()),
        ({"segmentation": [[1, 1, 5, 5]]}, "bbox_2d", ((1, 2, 4, 6),), ("bad_segmentation_to_box",)),
        ({"segmentation": {"size": [6, 7], "counts": "x"}}, "bbox_2d", ((1, 2, 4, 6),), ("bad_segmentation_to_box",)),
        ({"segmentation": MASK}, "poly", ((2, 1, 2, 3, 5, 3, 5, 1),), ("mask_to_outline",)),
        ({"segmentation": None, "keypoints": [1, 1, 2]}, "bbox_2d", ((1, 2, 4, 6),), ("keypoints_left_out",)),
    ],
)
def test_the_shape_is_the_polygon_if_there_is_one(
    tmp_path: Path, fields: Mapping[str, object], kind: str, parts: Any, repairs: tuple[str, ...]
) -> None:
    found = picture(tmp_path, annotation(**fields))
    (cup,) = found.objects
    assert (cup.kind, cup.parts, found.repairs) == (kind, parts, repairs)


def test_a_crowd_and_a_hole_in_a_mask_are_told(tmp_path: Path) -> None:
    ring = {"size": [6, 7], "counts": [7, 3, 3, 1, 1, 1, 3, 3, 20]}
    found = picture(tmp_path, annotation(iscrowd=1, segmentation=ring))
    assert found.objects[0].crowd
    assert sorted(found.repairs) == ["mask_hole_filled", "mask_to_outline"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"category_id": 8}, "unknown_category"),
        ({"category_id": None}, "unknown_category"),
        ({"category_id": [3]}, "unknown_category"),
        ({"bbox": None}, "no_shape"),
        ({"bbox": [1, 2, 3]}, "no_shape"),
        ({"bbox": [1, 2, "3", True]}, "no_shape"),
        ({"bbox": None, "segmentation": {"size": [1, 1], "counts": [1]}}, "no_shape"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_refused(tmp_path: Path, fields: Mapping[str, object], code: str) -> None:
    found = picture(tmp_path, annotation(**fields), annotation(id=10))
    assert [refused.code for refused in found.refused] == [code]
    assert found.refused[0].where == "instances_val2017.json: annotations[0]"
    assert len(found.objects) == 1


def test_annotations_without_a_picture_are_objects_that_are_lost(tmp_path: Path) -> None:
    value = content(annotation(image_id=5), annotation(image_id=None), "x", annotation())
    found, *strays = read(tmp_path, value)
    assert len(found.objects) == 1
    assert [(stray.code, stray.kind) for stray in strays] == [
        ("unknown_image", "object"),
        ("unknown_image", "object"),
        ("bad_annotation", "object"),
    ]


def test_the_same_annotation_twice_counts_once_and_a_shared_id_is_told(tmp_path: Path) -> None:
    found = picture(tmp_path, annotation(), annotation(), annotation(bbox=[0, 0, 1, 1]))
    assert len(found.objects) == 2
    assert [refused.code for refused in found.refused] == ["duplicate_object"]
    assert found.repairs == ("duplicate_annotation_id",)


def test_a_picture_listed_twice_is_read_once_and_two_pictures_of_one_id_are_refused(tmp_path: Path) -> None:
    first, again = read(tmp_path, content(annotation(), images=[IMAGE, IMAGE]))
    assert isinstance(first, Annotated) and len(first.objects) == 1
    assert isinstance(again, Refused) and again.code == "duplicate_id"
    both = read(tmp_path, content(annotation(), images=[IMAGE, {**IMAGE, "file_name": "b.jpg"}]))
    assert [(each.code, each.kind) for each in both] == [
        ("duplicate_id", ""),
        ("duplicate_id", ""),
        ("unknown_image", "object"),  # nobody knows whose it is
    ]


def test_entries_of_pictures_that_say_too_little_are_rows_that_are_lost(tmp_path: Path) -> None:
    found = read(tmp_path, content(images=[{"id": 4}, {"file_name": "x.jpg"}, 7]))
    assert [each.code for each in found] == ["no_file_name", "bad_image", "bad_image"]


def test_a_category_with_two_names_is_none(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {**content(annotation()), "categories": [CATEGORY, {"id": 3, "name": "dog"}]})
    assert [refused.code for refused in found.refused] == ["unknown_category"]


@pytest.mark.parametrize("value", [[], {"annotations": []}, {"images": {}}, 7])
def test_a_file_of_another_format_is_told(tmp_path: Path, value: object) -> None:
    with pytest.raises(RecordError, match="is it another format"):
        read(tmp_path, value)


def test_a_folder_may_hold_broken_files_and_pictures_lie_beside_theirs(tmp_path: Path) -> None:
    for name, text in {
        "train/_annotations.coco.json": json.dumps(content(annotation())),
        "valid/_annotations.coco.json": json.dumps(content(annotation())),
        "valid/broken.json": "{",
        "valid/other.json": "[]",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name in ("train/a.jpg", "valid/a.jpg"):
        (tmp_path / name).write_bytes(b"")
    found = list(CocoSource(path=str(tmp_path)).read())
    assert [(each.image, each.split) for each in found if isinstance(each, Annotated)] == [
        ("train/a.jpg", "train"),
        ("valid/a.jpg", "val"),
    ]
    assert [(each.where, each.code) for each in found if isinstance(each, Refused)] == [
        ("valid/broken.json", "bad_json"),
        ("valid/other.json", "not_coco"),
    ]
    (first, *_) = CocoSource(path=str(tmp_path), images="elsewhere").read()
    assert first.image == "a.jpg"


def test_in_a_folder_of_the_official_form_pictures_are_found_by_their_year(tmp_path: Path) -> None:
    for name in ("val2017/a.jpg", "train2017/a.jpg", "annotations/x"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    path = tmp_path / "annotations/instances_val2017.json"
    path.write_text(json.dumps(content(annotation())), encoding="utf-8")
    (found,) = CocoSource(path=str(tmp_path)).read()
    assert (found.image, found.split) == ("val2017/a.jpg", "val")


def test_lvis_keeps_what_is_known_of_a_picture(tmp_path: Path) -> None:
    image = {
        "id": 1,
        "coco_url": "http://images.cocodataset.org/val2017/000000000001.jpg",
        "width": 7,
        "height": 6,
        "neg_category_ids": [3, 99],
        "not_exhaustive_category_ids": [3],
    }
    (found,) = read(tmp_path, content(annotation(), images=[image]), LvisSource)
    assert found.image == "val2017/000000000001.jpg"
    assert found.metadata == {"image_id": 1, "neg_categories": ["cup", "99"], "not_exhaustive_categories": ["cup"]}
    (named,) = read(tmp_path, content(images=[{**image, "file_name": "COCO_val2014_1.jpg"}]), LvisSource)
    assert named.image == "COCO_val2014_1.jpg"


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(ValueError, match="tolerance must be at least 0"):
        CocoSource(path="a.json", tolerance=-1)
