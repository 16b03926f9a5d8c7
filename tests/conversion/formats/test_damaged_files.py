"""Importers of JSON on files in which anything may stand anywhere."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qvl.conversion import (
    Annotated,
    ChatSource,
    GeojsonSource,
    LabelStudioSource,
    Refused,
    SwiftSource,
    ViaSource,
)

SIZE = {"original_width": 9, "original_height": 9}
VALUE = {"x": 1, "y": 1, "width": 2, "height": 2, "rotation": 10, "rectanglelabels": ["a"]}
VERTICES = [{"x": 1, "y": 2}, {"x": 3, "y": 4}]
REGIONS = [
    {"id": "r", "type": "rectanglelabels", "value": VALUE, **SIZE},
    {"id": "r", "type": "choices", "from_name": "c", "value": {"choices": ["red"]}},
    {
        "id": "e",
        "type": "ellipselabels",
        "value": {"x": 1, "y": 1, "radiusX": 2, "radiusY": 2, "labels": ["a"]},
        **SIZE,
    },
    {"id": "v", "type": "vectorlabels", "value": {"vertices": VERTICES, "closed": False, "vectorlabels": ["a"]}},
    {"id": "p", "type": "polygonlabels", "value": {"points": [[1, 2], [3, 4], [5, 7]], "polygonlabels": ["a"]}},
]
SHAPES = [
    {"name": "rect", "x": 1, "y": 1, "width": 2, "height": 2},
    {"name": "ellipse", "cx": 1, "cy": 1, "rx": 2, "ry": 2, "theta": 1},
    {"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 5, 3]},
]
VIA = [{"shape_attributes": shape, "region_attributes": {"name": "a"}} for shape in SHAPES]
FEATURE = {
    "type": "Feature",
    "properties": {"label": "a", "image": "a.jpg"},
    "geometry": {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]},
}
ANSWER = json.dumps([{"bbox_2d": [1, 2, 3, 4], "label": "a"}])
TURNS = [{"role": "user", "content": [{"type": "image", "image": "a.jpg"}]}, {"role": "assistant", "content": ANSWER}]
TAGS = "<ref-object><bbox><bbox>"
OBJECTS = {"ref": ["a"], "bbox": [[1, 2, 3, 4], [5, 6, 7, 8]], "bbox_type": "real", "image_id": [0, 0]}
SOUND = {
    LabelStudioSource: [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"id": 1, "result": REGIONS}]}],
    ViaSource: {"k": {"filename": "a.jpg", "regions": VIA}},
    GeojsonSource: {"type": "FeatureCollection", "width": 9, "height": 9, "features": [FEATURE]},
    ChatSource: [{"messages": TURNS, "width": 9, "height": 9}],
    SwiftSource: [{"messages": [{"role": "user", "content": TAGS}], "images": ["a.jpg"], "objects": OBJECTS}],
}
ODD = st.sampled_from(
    [None, True, -1, 10**400, float("nan"), "", "x", "1e999", "data:,", [], [[]], [None], {}, {"a": {}}]
)


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Yield the way to every value inside a JSON value."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in entries:
        yield from places(each, (*path, key))


def replaced(value: object, path: tuple[object, ...], other: object) -> object:
    if not path:
        return other
    changed = copy.copy(value)
    changed[path[0]] = replaced(changed[path[0]], path[1:], other)  # type: ignore[index]
    return changed


@pytest.mark.parametrize("source", SOUND, ids=lambda source: source.__name__)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_file_is_read_or_refused_but_never_an_accident(source, tmp_path, data):
    content = SOUND[source]
    for _ in range(data.draw(st.integers(0, 2))):
        content = replaced(content, data.draw(st.sampled_from([*places(content)])), data.draw(ODD))
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    for row in source(path=str(tmp_path / "a.json")).read():
        assert isinstance(row, Annotated | Refused)
        json.dumps(row.came if isinstance(row, Refused) else [dict(row.metadata), *(each.came for each in row.refused)])
        for each in row.objects if isinstance(row, Annotated) else ():
            assert each.label
            assert all(isinstance(number, float) for part in each.parts for number in part)


@pytest.mark.parametrize("source", SOUND, ids=lambda source: source.__name__)
def test_a_sound_file_has_objects_and_nothing_refused(source, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(SOUND[source]), encoding="utf-8")
    (row,) = source(path=str(tmp_path / "a.json")).read()
    assert row.objects
    assert not row.refused
