"""VIA as its importer reads it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.via import ViaSource

RECT = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}


def region(shape: Mapping[str, object] = RECT, **words: object) -> dict[str, object]:
    return {"shape_attributes": dict(shape), "region_attributes": words}


def entry(*regions: object, name: str = "a.jpg", **more: object) -> dict[str, object]:
    return {"filename": name, "size": 123, "regions": list(regions), "file_attributes": {}, **more}


def read(folder: Path, content: object, **settings: object) -> list[Annotated | Refused]:
    path = folder / "via.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return [*ViaSource(path=str(path), **settings).read()]  # type: ignore[arg-type]


def one(folder: Path, *regions: object, **settings: object) -> Annotated:
    (row,) = read(folder, {"a.jpg123": entry(*regions)}, **settings)
    assert isinstance(row, Annotated)
    return row


def codes(entries: Sequence[object]) -> list[str]:
    return [entry.code for entry in entries if isinstance(entry, Refused)]


def test_every_shape_has_its_kind_and_numbers(tmp_path):
    row = one(
        tmp_path,
        region(name="a"),
        region({"name": "polygon", "all_points_x": [1, 5, 5], "all_points_y": [2, 2, 8]}, name="b"),
        region({"name": "polyline", "all_points_x": [1, 5], "all_points_y": [2, 2]}, name="c"),
        region({"name": "point", "cx": 3, "cy": 4}, name="d"),
    )
    assert [(each.label, each.kind, each.parts[0]) for each in row.objects] == [
        ("a", "bbox_2d", (10, 20, 40, 60)),
        ("b", "poly", (1, 2, 5, 2, 5, 8)),
        ("c", "line", (1, 2, 5, 2)),
        ("d", "point", (3, 4)),
    ]
    assert (row.image, row.where, row.width, row.unit) == ("a.jpg", "via.json: a.jpg123", None, "pixels")


def test_circles_and_turned_ellipses_become_outlines(tmp_path):
    row = one(
        tmp_path,
        region({"name": "circle", "cx": 50, "cy": 50, "r": 10}, name="a"),
        region({"name": "ellipse", "cx": 50, "cy": 50, "rx": 20, "ry": 10, "theta": np.pi / 2}, name="b"),
    )
    spans = [np.ptp(np.array(each.parts[0]).reshape(-1, 2), axis=0) for each in row.objects]
    assert spans[0] == pytest.approx([20, 20], rel=0.03)
    assert spans[1] == pytest.approx([20, 40], rel=0.03)
    assert row.repairs == ("circle_outlined", "ellipse_outlined")


def test_the_category_is_the_attribute_that_is_named_or_the_usual_one_or_the_only_one(tmp_path):
    row = one(tmp_path, region(color="red", label="cat"), region(color="red"))
    assert [(each.label, dict(each.attributes)) for each in row.objects] == [("cat", {"color": "red"}), ("red", {})]
    row = one(tmp_path, region(color="red", label="cat"), label_key="color")
    assert (row.objects[0].label, dict(row.objects[0].attributes)) == ("red", {"label": "cat"})


def test_a_region_without_a_category_is_refused_or_gets_the_given_one(tmp_path):
    assert codes(one(tmp_path, region()).refused) == ["no_label"]
    assert codes(one(tmp_path, region(label="cat"), label_key="kind").refused) == ["no_label"]
    assert one(tmp_path, region(), label="balloon").objects[0].label == "balloon"


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ({"name": "blob"}, "unknown_shape"),
        ({}, "unknown_shape"),
        ({"name": "rect", "x": 1, "y": 2, "width": None, "height": 3}, "not_a_number"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, "not_a_number"),
        ({"name": "polygon"}, "not_a_number"),
        ({"name": "ellipse", "cx": 1, "cy": 2, "rx": 3, "ry": 4, "theta": "turned"}, "not_a_number"),
    ],
)
def test_a_shape_that_cannot_be_read_is_refused(tmp_path, shape, code):
    assert codes(one(tmp_path, region(shape, name="a")).refused) == [code]


def test_regions_of_version_1_are_an_object_and_a_picture_may_have_none(tmp_path):
    first = entry() | {"regions": {"0": region(name="a"), "1": region(name="b")}}
    rows = read(tmp_path, {"k1": first, "k2": entry(name="b.jpg")})
    assert [len(row.objects) for row in rows if isinstance(row, Annotated)] == [2, 0]


def test_choices_of_a_project_are_written_with_their_names(tmp_path):
    options = {"kind": {"type": "dropdown", "options": {"1": "cable", "2": "screw"}}}
    options["state"] = {"type": "checkbox", "options": {"w": "worn", "d": "dirty"}}
    content = {
        "_via_settings": {},
        "_via_attributes": {"region": options, "file": {}},
        "_via_img_metadata": {"k": entry(region(kind="2", state={"w": True, "d": True}, note="x"))},
    }
    (row,) = read(tmp_path, content, label_key="kind")
    assert isinstance(row, Annotated)
    found = row.objects[0]
    assert (found.label, dict(found.attributes)) == ("screw", {"state": "worn/dirty", "note": "x"})


def test_attributes_of_the_file_are_kept_and_one_can_be_the_summary(tmp_path):
    content = {"k": entry(region(name="a"), file_attributes={"caption": "a room", "empty": ""})}
    (row,) = read(tmp_path, content, summary_key="caption")
    assert isinstance(row, Annotated)
    assert (row.summary, row.metadata) == ("a room", {"file_attributes": {"caption": "a room"}})


def test_csv_and_json_of_the_same_regions_are_the_same_objects(tmp_path):
    regions = [region(name='a, "b"'), region({"name": "circle", "cx": 5, "cy": 6, "r": 7}, name="ä\u2028ö")]
    header = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    with (tmp_path / "via.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        table = csv.writer(file)
        for index, each in enumerate(regions):
            cells = (json.dumps(each[key], ensure_ascii=False) for key in ("shape_attributes", "region_attributes"))
            table.writerow(["a.jpg", 123, "{}", 2, index, *cells])
        table.writerow(["b.jpg", 5, "{}", 0, 0, "{}", "{}"])
    rows = [*ViaSource(path=str(tmp_path / "via.csv")).read()]
    first, second = (row for row in rows if isinstance(row, Annotated))
    expected = one(tmp_path, *regions)
    assert [(o.label, o.kind, o.parts) for o in first.objects] == [(o.label, o.kind, o.parts) for o in expected.objects]
    assert (second.image, second.objects) == ("b.jpg", ())


def test_a_cell_that_is_no_json_refuses_its_region_only(tmp_path):
    lines = ["filename,file_attributes,region_shape_attributes,region_attributes", 'a.jpg,{},{broken,"{}"']
    (tmp_path / "via.csv").write_text("\n".join(lines), encoding="utf-8")
    (row,) = ViaSource(path=str(tmp_path / "via.csv")).read()
    assert isinstance(row, Annotated)
    assert codes(row.refused) == ["unknown_shape"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"project": {}, "file": {}, "view": {}, "metadata": {}}, "VIA 3"),
        ({"a": {"regions": []}}, "filename"),
        ([], "filename"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, word):
    (row,) = read(tmp_path, content)
    assert isinstance(row, Refused)
    assert row.code == "not_via"
    assert word in row.message


def test_a_picture_without_a_name_and_regions_of_no_kind_are_refused(tmp_path):
    content = {"k1": entry(name=""), "k2": entry() | {"regions": 3}}
    assert codes(read(tmp_path, content)) == ["no_picture_named", "bad_regions"]
