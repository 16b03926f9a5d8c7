"""Detection scores are the counts they claim to be, also where there is nothing to count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.geometry import Box, shape_from_flat
from qvl.metrics import LINE_TOLERANCE, DetectionMetric, Labelled

place = st.integers(0, 3).map(float)
objects = st.lists(
    st.builds(lambda name, x, y: Labelled(name, Box(x, y, x + 3, y + 3)), st.sampled_from("ab"), place, place),
    max_size=5,
)


def box(x, category="screw") -> Labelled:
    return Labelled(category, Box(x, 0, x + 10, 10))


def line(y, category="cable") -> Labelled:
    return Labelled(category, shape_from_flat("line", [0, y, 1000, y]))


def scores(truth, predicted, **options) -> tuple[float, float, float]:
    result = DetectionMetric(**options).update(truth, predicted).compute()
    return result.precision, result.recall, result.f1


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        ([box(0), box(50)], [box(0), box(50)], (1.0, 1.0, 1.0)),
        ([box(0), box(50)], [box(50)], (1.0, 0.5, 2 / 3)),
        ([box(0)], [box(0), box(0), box(90), box(70)], (0.25, 1.0, 0.4)),  # a duplicate is wrong too
        ([box(0)], [box(90)], (0.0, 0.0, 0.0)),
        ([box(0)], [box(0, "label")], (0.0, 0.0, 0.0)),
        ([box(0)], [], (0.0, 0.0, 0.0)),
        ([], [box(0)], (0.0, 0.0, 0.0)),
        ([], [], (1.0, 1.0, 1.0)),  # rightly silent
    ],
)
def test_scores_of_one_picture(truth, predicted, expected):
    assert scores(truth, predicted) == pytest.approx(expected)


def test_counts_are_summed_before_they_are_divided():
    metric = DetectionMetric()
    result = metric.update([box(0)], [box(0)]).update([box(0), box(50), box(90)], []).update([], []).compute()
    assert (result.num_truth, result.num_predicted, result.num_matched, result.num_images) == (4, 1, 1, 3)
    assert (result.precision, result.recall, result.f1) == (1.0, 0.25, 0.4)  # the mean over pictures would be another


def test_categories_are_scored_apart():
    metric = DetectionMetric().update([box(0, "b"), box(50, "b"), box(90, "a")], [box(0, "b"), box(50, "c")])
    by_name = metric.compute().per_category
    assert list(by_name) == ["a", "b", "c"]
    assert (by_name["b"].precision, by_name["b"].recall, by_name["b"].f1) == pytest.approx((1.0, 0.5, 2 / 3))
    assert (by_name["b"].num_truth, by_name["b"].num_predicted, by_name["b"].num_matched) == (2, 1, 1)
    assert (by_name["a"].recall, by_name["c"].precision) == (0.0, 0.0)  # never predicted, never there


def test_without_categories_places_count_but_a_category_still_needs_its_name():
    result = DetectionMetric(same_category=False).update([box(0, "a")], [box(0, "b")]).compute()
    assert (result.f1, result.num_matched) == (1.0, 1)
    assert [row.num_matched for row in result.per_category.values()] == [0, 0]


def test_a_malformed_object_counts_as_predicted():
    result = DetectionMetric().update([box(0)], [box(0)], num_malformed=3).compute()
    assert (result.num_predicted, result.precision, result.recall) == (4, 0.25, 1.0)
    assert DetectionMetric().update([], [], num_malformed=1).compute().f1 == 0.0  # not rightly silent


@pytest.mark.parametrize(("aside", "found"), [(13, 1.0), (14, 0.0)])
def test_a_line_is_found_up_to_two_thirds_of_the_tolerance_aside(aside, found):
    assert LINE_TOLERANCE == 20.0
    assert scores([line(500)], [line(500 + aside)]) == (found, found, found)


def test_the_tolerance_of_lines_can_be_narrowed():
    assert scores([line(500)], [line(505)], line_tolerance=8.0)[2] == 1.0
    assert scores([line(500)], [line(506)], line_tolerance=8.0)[2] == 0.0


def test_the_threshold_decides_what_is_found():
    truth, predicted = [box(0)], [box(4)]  # IoU 6 / 14
    assert scores(truth, predicted, threshold=0.42)[2] == 1.0
    assert scores(truth, predicted, threshold=0.43)[2] == 0.0


def test_reset_forgets_everything():
    metric = DetectionMetric().update([box(0)], [box(90)], num_malformed=1)
    metric.reset()
    assert metric.update([box(0)], [box(0)]).compute() == DetectionMetric().update([box(0)], [box(0)]).compute()


def test_no_picture_has_no_score():
    with pytest.raises(ValueError, match="no picture"):
        DetectionMetric().compute()


@pytest.mark.parametrize("options", [{"threshold": 0.0}, {"threshold": 1.5}, {"line_tolerance": 0.0}])
def test_settings_out_of_range_are_refused_before_the_first_picture(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DetectionMetric(**options)


@given(st.data(), st.lists(st.tuples(objects, objects), min_size=1, max_size=3))
def test_scores_do_not_depend_on_any_order(data, rows):
    def result(pictures):
        metric = DetectionMetric(threshold=0.3)
        for truth, predicted in pictures:
            metric.update(truth, predicted)
        return metric.compute()

    shuffled = [tuple(data.draw(st.permutations(side)) for side in row) for row in data.draw(st.permutations(rows))]
    assert result(shuffled) == result(rows)


@given(objects, objects)
def test_swapping_truth_and_prediction_swaps_precision_and_recall(left, right):
    precision, recall, f1 = scores(left, right, threshold=0.9)
    assert scores(right, left, threshold=0.9) == (recall, precision, f1)
    assert 0.0 <= min(precision, recall) <= f1 <= max(precision, recall) <= 1.0
