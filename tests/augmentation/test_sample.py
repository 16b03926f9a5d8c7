"""A sample moves its view; shapes follow, leave when too little is seen of them, and never come back."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.augmentation import Sample
from qvl.geometry import (
    Box,
    Matrix,
    Polygon,
    Polyline,
    Shape,
    area,
    compose,
    mirror_x,
    perspective,
    rectangle,
    rotation,
    scaling,
    shearing,
    translation,
)
from qvl.records import ObjectRecord, Record, Source

WIDTH, HEIGHT = 200, 100
MIDDLE = (WIDTH / 2, HEIGHT / 2)


def record(*shapes: Shape) -> Record:
    objects = tuple(ObjectRecord(f"type=part,id={number}", shape) for number, shape in enumerate(shapes))
    return Record(("a.png",), objects, WIDTH, HEIGHT, Source("rows.jsonl", 1), summary="two parts")


def shapes(sample: Sample) -> list[Shape]:
    return [item.shape for item in sample.record.objects]


def triangle(x: float, y: float) -> Polygon:
    return Polygon(np.array([[x, y], [x + 10, y + 2], [x + 4, y + 9]]))


matrices = st.one_of(
    st.builds(translation, st.floats(-60, 60), st.floats(-60, 60)),
    st.builds(partial(rotation, about=MIDDLE), st.floats(-180, 180)),
    st.builds(lambda factor: scaling(factor, factor, about=MIDDLE), st.floats(0.3, 3)),
    st.builds(partial(shearing, about=MIDDLE), st.floats(-30, 30), st.floats(-30, 30)),
    st.just(mirror_x(WIDTH)),
)


def test_a_fresh_sample_is_its_record() -> None:
    source = record(Box(1, 2, 30, 40), triangle(50, 50))
    sample = Sample.of(source)
    assert sample.record is source
    assert not sample.changed


@pytest.mark.parametrize("matrix", [np.eye(3), compose(mirror_x(WIDTH), mirror_x(WIDTH)), translation(0, 0)])
def test_a_move_that_changes_nothing_changes_nothing(matrix: Matrix) -> None:
    source = record(Box(0, 0, WIDTH, HEIGHT), triangle(50, 50), Polyline(np.array([[0, 0], [200, 100], [3, 7]])))
    sample = Sample.of(source).moved(matrix)
    assert sample.record == source
    assert not sample.changed


def test_the_canvas_may_change_its_size() -> None:
    sample = Sample.of(record(Box(50, 40, 80, 60))).moved(translation(-40, -30), width=64, height=32)
    assert (sample.record.width, sample.record.height, sample.changed) == (64, 32, True)
    assert shapes(sample) == [Box(10, 10, 40, 30)]


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, -1)])
def test_a_canvas_without_pixels_is_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"at least one pixel, got {width} x {height}"):
        Sample.of(record()).moved(np.eye(3), width=width, height=height)


def test_a_matrix_that_sends_the_picture_through_the_horizon_is_refused() -> None:
    corners = rectangle(WIDTH / 4, HEIGHT / 4)
    steep = perspective(corners, np.array([[20, 0], [30, 0], [50, 25], [0, 25]]))
    with pytest.raises(ValueError, match="horizon"):
        Sample.of(record()).moved(steep)


@pytest.mark.parametrize("degrees", [(33, -33), (10, 27, -37), (0.1, 0.2, -0.3), (50, 61, 69)])
def test_a_box_becomes_a_polygon_when_turned_and_a_box_when_turned_back(degrees: tuple[float, ...]) -> None:
    back = Sample.of(record(Box(90, 40, 110, 60)))
    for angle in degrees:
        assert isinstance(shapes(back)[0], Box) == (angle == degrees[0])
        back = back.moved(rotation(angle, about=MIDDLE))
    assert isinstance(shapes(back)[0], Box)
    assert shapes(back)[0].flat() == pytest.approx((90, 40, 110, 60), abs=1e-9)


def test_many_small_turns_add_up_without_error() -> None:
    sample = Sample.of(record(triangle(95, 45)))
    for _ in range(720):
        sample = sample.moved(rotation(1, about=MIDDLE))
    assert shapes(sample)[0].points == pytest.approx(triangle(95, 45).points, abs=1e-9)


@pytest.mark.parametrize(
    ("shift", "left", "coverage"),
    [
        (0, Box(100, 20, 200, 60), 1.0),
        (60, Box(160, 20, 200, 60), 0.4),
        (70, Box(170, 20, 200, 60), 0.3),  # just enough
        (71, None, 0.29),
        (150, None, 0.0),
    ],
)
def test_an_object_of_which_too_little_is_seen_leaves(shift: int, left: Box | None, coverage: float) -> None:
    sample = Sample.of(record(Box(100, 20, 200, 60)), min_coverage=0.3).moved(translation(shift, 0))
    assert shapes(sample) == [left] * (left is not None)
    assert sample.seen[0].coverage == pytest.approx(coverage)


def test_shares_of_a_polygon_and_of_a_line_count_in_the_same_way() -> None:
    diamond = Polygon(np.array([[150, 20], [190, 50], [150, 80], [110, 50]]))
    line = Polyline(np.array([[100, 10], [200, 10]]))
    sample = Sample.of(record(diamond, line)).moved(translation(50, 0))
    assert [item.coverage for item in sample.seen] == pytest.approx([0.5, 0.5])
    assert area(shapes(sample)[0]) == pytest.approx(area(diamond) / 2)
    sample = Sample.of(record(diamond, line), min_coverage=0.51).moved(translation(50, 0))
    assert shapes(sample) == []


def test_what_has_left_never_comes_back() -> None:
    gone, cut = Box(0, 10, 20, 30), Box(30, 10, 70, 30)
    sample = Sample.of(record(gone, cut)).moved(translation(-50, 0)).moved(translation(50, 0))
    assert shapes(sample) == [Box(50, 10, 70, 30)]
    assert sample.changed


def test_a_deferred_sample_loses_nothing_until_it_is_cut() -> None:
    source = record(Box(0, 10, 20, 30), Box(30, 10, 70, 30))
    moved = Sample.of(source).deferred().moved(translation(-50, 0))
    assert moved.moved(translation(50, 0)).settled().record == source
    assert shapes(moved.settled().moved(translation(50, 0))) == [Box(50, 10, 70, 30)]
    assert shapes(moved.cut().moved(translation(50, 0))) == [Box(50, 10, 70, 30)]


def test_descriptions_and_order_stay_with_their_shapes() -> None:
    source = record(Box(0, 0, 10, 10), triangle(100, 50), Box(120, 60, 130, 70))
    moved = Sample.of(source).moved(translation(-60, 0)).record
    assert [item.desc for item in moved.objects] == ["type=part,id=1", "type=part,id=2"]
    assert (moved.summary, moved.source, moved.images) == (source.summary, source.source, source.images)


def test_resizing_loses_no_object() -> None:
    sample = Sample.of(record(Box(100, 20, 200, 60)), min_coverage=0.3).moved(translation(70, 0))
    for size in ((224, 96), (96, 224), (1000, 3), (32, 32)):
        resized = sample.resized(*size)
        assert (resized.record.width, resized.record.height) == size
        assert len(resized.record.objects) == 1
        assert resized.record.objects[0].shape.bounds()[2] == pytest.approx(size[0])
    assert sample.resized(WIDTH, HEIGHT).record == sample.record


@pytest.mark.parametrize("size", [(201, 101), (199, 99), (224, 96), (7, 3), (607, 1009)])
def test_what_fills_the_picture_fills_it_at_every_size(size: tuple[int, int]) -> None:
    sample = Sample.of(record(Box(0, 0, WIDTH, HEIGHT), Polyline(np.array([[0, 0], [WIDTH, HEIGHT]])))).resized(*size)
    assert [item.coverage for item in sample.seen] == [1.0, 1.0]
    for shape in shapes(sample):
        assert shape.bounds() == pytest.approx((0, 0, *size))


def test_an_empty_sample_says_so() -> None:
    assert not Sample.of(record()).is_empty
    assert not Sample.of(record(Box(0, 0, 10, 10))).is_empty
    assert Sample.of(record(Box(0, 0, 10, 10))).moved(translation(-50, 0)).is_empty
    away = Sample.of(record()).moved(translation(-250, 0))
    assert away.is_empty
    assert away.moved(translation(250, 0)).is_empty
    assert away.resized(64, 64).record.objects == ()


def test_operations_on_pixels_are_kept_in_order() -> None:
    sample = Sample.of(record()).with_pixels(np.flipud).with_pixels(np.fliplr)
    assert sample.pixel_ops == (np.flipud, np.fliplr)
    assert sample.changed
    assert sample.moved(np.eye(3)).pixel_ops == sample.pixel_ops


def test_a_sample_can_be_sent_to_another_process() -> None:
    sample = Sample.of(record(Box(1, 2, 30, 40), triangle(50, 50))).moved(rotation(10, about=MIDDLE))
    for asked in (False, True):
        copy = pickle.loads(pickle.dumps(sample.with_pixels(partial(np.roll, shift=1))))
        assert copy.record == sample.record, f"with the record asked for before: {asked}"


@given(st.lists(matrices, min_size=1, max_size=5), st.floats(0.05, 1))
def test_shapes_stay_on_the_canvas_and_never_grow_in_number(moves: list[Matrix], min_coverage: float) -> None:
    source = record(
        Box(0, 0, WIDTH, HEIGHT),
        Box(10, 20, 60, 90),
        triangle(150, 80),
        Polygon(np.array([[20, 5], [180, 5], [180, 90], [140, 90], [140, 20], [60, 20], [60, 90], [20, 90]])),
        Polyline(np.array([[0, 0], [200, 50], [0, 100]])),
    )
    sample = Sample.of(source, min_coverage=min_coverage)
    before = {item.desc for item in source.objects}
    for matrix in moves:
        sample = sample.moved(matrix)
        names = {item.desc for item in sample.record.objects}
        assert names <= before
        before = names
        for shape in shapes(sample):
            x1, y1, x2, y2 = shape.bounds()
            assert 0 <= x1 <= x2 <= WIDTH
            assert 0 <= y1 <= y2 <= HEIGHT
        for seen in sample.seen:
            assert (seen.shape is None) == (seen.coverage < min_coverage - 1e-9)
    resized = sample.resized(320, 96)
    assert [item.desc for item in resized.record.objects] == [item.desc for item in sample.record.objects]


@given(matrices, matrices)
def test_two_moves_that_cut_nothing_are_one(first: Matrix, second: Matrix) -> None:
    source = record(Box(90, 40, 110, 60), triangle(100, 50))
    twice = Sample.of(source).deferred().moved(first).moved(second)
    once = Sample.of(source).deferred().moved(compose(first, second))
    for a, b in zip(shapes(twice), shapes(once), strict=True):
        assert type(a) is type(b)
        assert a.points == pytest.approx(b.points, abs=1e-6)
