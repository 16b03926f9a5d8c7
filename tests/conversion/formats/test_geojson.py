"""GeoJSON in pixels as its importer reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.geojson import GeojsonSource

RING = [[0, 0], [10, 0], [10, 5], [0, 0]]
HOLE = [[1, 1], [2, 1], [2, 2], [1, 1]]


def feature(kind: str = "Polygon", coordinates: object = (RING,), **properties: object) -> dict[str, object]:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": {"label": "cat", **properties}}


def collection(*features: object, **members: object) -> dict[str, object]:
    return {"type": "FeatureCollection", "features": list(features), **members}


def read(folder: Path, content: object, name: str = "a.geojson", **settings: object) -> list[Annotated | Refused]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return [*GeojsonSource(path=str(folder), **settings).read()]  # type: ignore[arg-type]


def one(folder: Path, *features: object, **settings: object) -> Annotated:
    (row,) = read(folder, collection(*features, imagePath="a.jpg", height=100, width=200), **settings)
    assert isinstance(row, Annotated)
    return row


def codes(entries: Sequence[object]) -> list[str]:
    return [entry.code for entry in entries if isinstance(entry, Refused)]


def test_every_geometry_has_its_kind_and_its_parts(tmp_path):
    row = one(
        tmp_path,
        feature(),
        feature("MultiPolygon", [[RING], [HOLE]]),
        feature("LineString", [[0, 0, 99], [5, 5, 99]]),
        feature("MultiLineString", [[[0, 0], [5, 5]], [[6, 6], [7, 8]]]),
        feature("Point", [3, 4]),
        feature("MultiPoint", [[3, 4], [5, 6]]),
    )
    assert [(each.kind, each.parts) for each in row.objects] == [
        ("poly", ((0, 0, 10, 0, 10, 5),)),
        ("poly", ((0, 0, 10, 0, 10, 5), (1, 1, 2, 1, 2, 2))),
        ("line", ((0, 0, 5, 5),)),
        ("line", ((0, 0, 5, 5), (6, 6, 7, 8))),
        ("point", ((3, 4),)),
        ("point", ((3, 4), (5, 6))),
    ]
    assert (row.image, row.width, row.height, row.repairs) == ("a.jpg", 200, 100, ())


def test_holes_are_counted_or_refused(tmp_path):
    assert one(tmp_path, feature(coordinates=[RING, HOLE, HOLE])).repairs == ("hole_ignored", "hole_ignored")
    assert codes(one(tmp_path, feature(coordinates=[RING, HOLE]), feature(), holes="refuse").refused) == ["hole"]


@pytest.mark.parametrize(
    ("y_axis", "line"), [("down", (1, 2, 3, 40)), ("up", (1, 98, 3, 60)), ("negative", (1, -2, 3, -40))]
)
def test_y_is_turned_to_point_down(tmp_path, y_axis, line):
    row = one(tmp_path, feature("LineString", [[1, 2], [3, 40]]), y_axis=y_axis)
    assert row.objects[0].parts == (line,)


def test_y_from_the_bottom_edge_needs_a_height(tmp_path):
    (row,) = read(tmp_path, collection(feature(), image="a.jpg"), y_axis="up")
    assert isinstance(row, Annotated)
    assert codes(row.refused) == ["no_height"]


def test_the_category_is_found_where_tools_put_it(tmp_path):
    row = one(
        tmp_path,
        feature(classification={"name": "Tumor", "color": [1, 2, 3]}, objectType="annotation"),
        feature(color="red", ready=True, note=None),
    )
    found = [(each.label, dict(each.attributes)) for each in row.objects]
    assert found[0] == ("Tumor", {"label": "cat", "objectType": "annotation"})
    assert found[1] == ("cat", {"color": "red", "ready": "true"})


def test_a_feature_without_a_category_is_refused_or_gets_the_given_one(tmp_path):
    assert codes(one(tmp_path, feature(label=None)).refused) == ["no_label"]
    assert one(tmp_path, feature(), label_key="kind", label="thing").objects[0].label == "thing"


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {"type": "GeometryCollection", "geometries": []},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[1, "two"]]]},
        {"type": "MultiPolygon", "coordinates": [[]]},
        {"type": "Point", "coordinates": 3},
    ],
)
def test_a_geometry_that_cannot_be_read_is_refused(tmp_path, geometry):
    assert codes(one(tmp_path, feature() | {"geometry": geometry}).refused) == ["unknown_shape"]


@pytest.mark.parametrize("name", ["a.geojson", "a.jpg.geojson"])
def test_the_picture_is_found_by_the_name_of_the_file(tmp_path, name):
    (tmp_path / "pictures/x").mkdir(parents=True)
    (tmp_path / "pictures/x/a.jpg").touch()
    (row,) = read(tmp_path / "shapes", collection(feature()), name, images=str(tmp_path / "pictures"))
    assert isinstance(row, Annotated)
    assert row.image == "x/a.jpg"


def test_of_pictures_with_one_name_that_in_the_same_place_is_taken(tmp_path):
    for split in ("train", "val"):
        (tmp_path / "pictures" / split).mkdir(parents=True)
        (tmp_path / "pictures" / split / "a.jpg").touch()
    (row,) = read(tmp_path / "shapes", collection(feature()), "val/a.json", images=str(tmp_path / "pictures"))
    assert isinstance(row, Annotated)
    assert row.image == "val/a.jpg"
    rows = read(tmp_path / "other", collection(feature()), "a.json", images=str(tmp_path / "pictures"))
    assert codes(rows) == ["many_pictures"]


def test_a_file_of_which_no_picture_is_known_is_refused(tmp_path):
    assert codes(read(tmp_path, collection(feature()))) == ["no_picture_named"]


def test_features_that_name_their_pictures_are_put_together_by_them(tmp_path):
    features = [feature(image="a.jpg"), feature(image="b.jpg"), feature(image="a.jpg")]
    rows = read(tmp_path, collection(*features))
    assert [(row.image, len(row.objects)) for row in rows if isinstance(row, Annotated)] == [("a.jpg", 2), ("b.jpg", 1)]


def test_a_width_of_a_feature_is_not_that_of_its_picture(tmp_path):
    (row,) = read(tmp_path, [feature(image="a.jpg", width=12, height=3)])
    assert isinstance(row, Annotated)
    assert (row.width, row.height, dict(row.objects[0].attributes)) == (None, None, {"width": "12", "height": "3"})


def test_an_empty_collection_is_a_picture_without_objects(tmp_path):
    assert one(tmp_path).objects == ()


def test_something_else_than_features_is_refused(tmp_path):
    assert codes(read(tmp_path, {"type": "Topology"})) == ["not_geojson"]


@pytest.mark.parametrize("settings", [{"y_axis": "left"}, {"holes": "fill"}])
def test_an_unknown_setting_is_refused(settings):
    with pytest.raises(ValueError, match="must be one of"):
        GeojsonSource(path="x", **settings)
