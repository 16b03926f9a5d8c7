from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qvl.geometry import Box, Polyline
from qvl.inspection import Statistics, Tokens
from qvl.inspection.statistics import Gatherer, extent_of
from qvl.records import ObjectRecord, Record, Source

boxes = st.tuples(st.integers(0, 90), st.integers(0, 40), st.integers(1, 10), st.integers(1, 10))
objects = st.lists(
    st.builds(lambda box, desc: (box, desc), boxes, st.sampled_from(["type=a,x=1", "b", "类=c"])), max_size=4
)


def record(items: list[tuple[tuple[int, int, int, int], str]]) -> Record:
    found = tuple(ObjectRecord(desc, Box(x, y, x + w, y + h)) for (x, y, w, h), desc in items)
    return Record(images=("a",), objects=found, width=100, height=50, source=Source("a", 1))


def counted(records: list[Record]) -> Statistics:
    gatherer, statistics = Gatherer(), Statistics()
    for one in records:
        gatherer.add(one, Tokens(len(one.objects), 2, 9), (64, 32))
    gatherer.count_into(statistics)
    return statistics


@given(st.lists(objects, max_size=8), st.integers(0, 8))
def test_statistics_taken_in_parts_are_those_of_the_whole(rows, cut):
    records = [record(items) for items in rows]
    merged = counted(records[:cut])
    merged.merge(counted(records[cut:]))
    assert merged.as_json() == counted(records).as_json()


def test_a_row_is_counted_as_what_it_is():
    line = ObjectRecord("type=line,color=red", Polyline(np.array([[0.0, 25.0], [50.0, 25.0], [100.0, 25.0]])))
    box = ObjectRecord("screw", Box(0, 0, 25, 12.5))
    statistics = counted([Record(images=("a",), objects=(line, box), width=100, height=50, source=Source("a", 1))])
    assert statistics.shapes.counts == {"line": 1, "bbox_2d": 1}
    assert statistics.categories.counts == {"line": 1, "screw": 1}
    assert statistics.pairs.counts == {"type=line": 1, "color=red": 1}
    assert statistics.vertices.counts == {3: 1}
    assert sorted(map(extent_of, statistics.extents.counts)) == [0.25, 1.0]
    assert statistics.aspects.counts == {4: 1}  # twice as wide as tall: four quarters of a doubling; lines have none
    assert statistics.model_sides.counts == {8: 1}  # 12.5 pixels of 50, seen on 32
    assert statistics.centers.cells.sum() == 2
    assert statistics.sizes.counts == {"100 x 50": 1}
