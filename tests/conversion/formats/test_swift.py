"""Grounding data of ms-swift as its importer reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.swift import SwiftSource


def row(objects: object, *texts: str, images: object = "a.jpg") -> dict[str, object]:
    roles = ("user", "assistant")
    turns = [{"role": roles[index % 2], "content": text} for index, text in enumerate(texts)]
    return {"messages": turns, "images": images if isinstance(images, list) else [images], "objects": objects}


def read(folder: Path, *rows: object) -> list[Annotated | Refused]:
    path = folder / "train.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in rows), encoding="utf-8")
    return [*SwiftSource(path=str(path)).read()]


def one(folder: Path, content: object) -> Annotated:
    (found,) = read(folder, content)
    assert isinstance(found, Annotated)
    return found


def codes(entries: Sequence[object]) -> list[str]:
    return [entry.code for entry in entries if isinstance(entry, Refused)]


def labels(found: Annotated) -> list[str]:
    return [each.label for each in found.objects]


def test_as_many_names_as_boxes_belong_together(tmp_path):
    objects = {"ref": ["dog", "cat"], "bbox": [[1, 2, 30, 40], [5, 6, 7, 8.5]]}
    found = one(tmp_path, row(objects, "<image>Find <ref-object> and <ref-object>", "<bbox>, <bbox>"))
    assert labels(found) == ["dog", "cat"]
    assert [each.parts[0] for each in found.objects] == [(1, 2, 30, 40), (5, 6, 7, 8.5)]
    assert (found.unit, found.width, found.split, found.where) == ("pixels", None, "train", "train.jsonl:1")


def test_one_name_is_that_of_all_its_boxes(tmp_path):
    objects = {"ref": ["sheep"], "bbox": [[1, 2, 3, 4], [5, 6, 7, 8]]}
    assert labels(one(tmp_path, row(objects, "<image>Find <ref-object>", "<bbox><bbox>"))) == ["sheep", "sheep"]


def test_a_box_belongs_to_the_last_name_in_front_of_it(tmp_path):
    objects = {"ref": ["dog", "cat"], "bbox": [[1, 2, 3, 4], [5, 6, 7, 8], [1, 1, 9, 9]]}
    found = one(tmp_path, row(objects, "<image>?", "<ref-object><bbox><bbox> and <ref-object><bbox>"))
    assert labels(found) == ["dog", "dog", "cat"]


def test_without_names_the_label_beside_a_box_is_taken(tmp_path):
    answer = '[{"bbox_2d": <bbox>, "label": "sheep"}, {"bbox_2d": <bbox>, "label": "dog"}]'
    objects = {"ref": [], "bbox": [[1, 2, 3, 4], [5, 6, 7, 8]]}
    assert labels(one(tmp_path, row(objects, "<image>Find all", answer))) == ["sheep", "dog"]
    assert labels(one(tmp_path, row({"bbox": objects["bbox"]}, "<image>Find all", answer))) == ["sheep", "dog"]


@pytest.mark.parametrize(
    ("objects", "answer"),
    [
        ({"ref": ["dog"], "bbox": [[1, 2, 3, 4], [5, 6, 7, 8]]}, "<ref-object><bbox>"),
        ({"ref": [], "bbox": [[1, 2, 3, 4]]}, "there: <bbox>"),
        ({"ref": ["a", "b"], "bbox": [[1, 2, 3, 4]]}, "<bbox>"),
    ],
)
def test_names_that_cannot_be_told_apart_refuse_the_row(tmp_path, objects, answer):
    assert codes(read(tmp_path, row(objects, "<image>?", answer))) == ["ref_count"]


def test_norm1_is_shares_and_lengths_tell_the_shape(tmp_path):
    boxes = [[0.1, 0.2], [0, 0, 0.5, 1], [0, 0, 1, 0, 1, 1]]
    found = one(tmp_path, row({"ref": ["a", "b", "c"], "bbox": boxes, "bbox_type": "norm1"}))
    assert ([each.kind for each in found.objects], found.unit) == (["point", "bbox_2d", "poly"], "share")


def test_every_picture_of_a_row_has_its_own_objects(tmp_path):
    objects = {"ref": ["a", "b", "c"], "bbox": [[1, 2, 3, 4]] * 3, "image_id": [1, 0]}
    found = read(tmp_path, row(objects, images=["a.jpg", {"path": "b.jpg"}]))
    assert [(each.image, labels(each)) for each in found if isinstance(each, Annotated)] == [
        ("a.jpg", ["b", "c"]),
        ("b.jpg", ["a"]),
    ]


def test_a_box_of_a_picture_that_is_not_there_is_one_object_refused(tmp_path):
    objects = {"ref": ["a", "b"], "bbox": [[1, 2, 3, 4]] * 2, "image_id": [0, 5]}
    found, lost = read(tmp_path, row(objects))
    assert isinstance(found, Annotated)
    assert isinstance(lost, Refused)
    assert (labels(found), lost.code, lost.kind) == (["a"], "bad_image_id", "object")


@pytest.mark.parametrize(
    ("box", "label", "code"),
    [
        ([1, 2, 3], "a", "odd_length"),
        ([], "a", "odd_length"),
        ([1, 2, "x", 4], "a", "not_a_number"),
        (7, "a", "not_a_number"),
        ([1, 2, 3, 4], "", "no_label"),
    ],
)
def test_a_box_that_cannot_be_read_is_refused(tmp_path, box, label, code):
    assert codes(one(tmp_path, row({"ref": [label], "bbox": [box]})).refused) == [code]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (row([{"caption": "a", "bbox": [1, 2, 3, 4]}]), "no_grounding"),
        (row(None), "no_grounding"),
        (row({"ref": ["a"], "bbox": [[1, 2, 3, 4]], "bbox_type": "norm1000"}), "bbox_type"),
        (row({"ref": ["a"], "bbox": [[1, 2, 3, 4]]}, images=[]), "no_picture_named"),
    ],
)
def test_a_row_without_grounding_is_refused(tmp_path, content, code):
    assert codes(read(tmp_path, content)) == [code]
