"""A report counts what it says it counts, whatever the answers are."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.geometry import Box, Polyline
from qvl.metrics import THRESHOLDS, Answer, DetectionMetric, Labelled, ReportMetric, ends_in_loop

place = st.integers(0, 3).map(float)
objects = st.lists(
    st.builds(
        lambda name, x, y, w, desc: Labelled(name, Box(x, y, x + w, y + 3), desc),
        *(st.sampled_from("ab"), place, place, st.sampled_from([2.0, 3.0])),
        st.sampled_from(["", "type=a,color=red", "type=a,color=blue,size=1"]),
    ),
    max_size=5,
)
answers = st.builds(
    Answer, st.integers(0, 2), st.lists(st.sampled_from(["cut_off", "not_json"])), st.booleans(), st.text()
)
pictures = st.lists(st.tuples(objects, objects, answers), min_size=1, max_size=4)


def box(x, category="screw", desc="", width=10.0) -> Labelled:
    return Labelled(category, Box(x, 0, x + width, 10), desc)


def gathered(rows, **options) -> ReportMetric:
    metric = ReportMetric(**options)
    for row in rows:
        metric.update(*row)
    return metric


def report(*rows, **options):
    return gathered(rows, average_precision=(), **options).compute()


@given(pictures)
@settings(max_examples=40, deadline=None)
def test_f1_at_each_threshold_is_that_of_the_small_metric(rows):
    found = gathered(rows, average_precision=()).compute()
    for same_category in (True, False):
        single = []
        for threshold in THRESHOLDS:
            metric = DetectionMetric(threshold=threshold, same_category=same_category)
            for truth, predicted, answer in rows:
                metric.update(truth, predicted, num_malformed=answer.num_malformed)
            single.append(metric.compute())
        mean = sum(result.f1 for result in single) / len(single)
        if same_category:
            assert list(found.f1_by_threshold.values()) == [result.f1 for result in single]
            assert (found.f1_50, found.f1_50_95) == (single[0].f1, pytest.approx(mean))
            assert found.per_category == single[0].per_category
        else:
            assert (found.f1_any_category_50, found.f1_any_category_50_95) == (single[0].f1, pytest.approx(mean))


@given(pictures, pictures)
@settings(max_examples=30, deadline=None)
def test_states_of_two_processes_merge_to_that_of_one(left, right):
    whole = gathered([*left, *right]).compute()
    merged = gathered(left).merge(pickle.loads(pickle.dumps(gathered(right)))).compute()
    assert merged == whole
    assert np.array_equal(merged.pictures.num_matched, whole.pictures.num_matched)


@given(pictures)
@settings(max_examples=40, deadline=None)
def test_every_figure_is_finite_and_shares_lie_between_0_and_1(rows):
    figures = gathered(rows).compute().as_dict(per_category=True)
    assert all(name.startswith("detection/") and np.isfinite(value) for name, value in figures.items())
    assert all(0.0 <= value <= 1.0 for name, value in figures.items() if "count_" not in name)


def test_counts_of_each_picture_add_up_to_the_whole():
    found = report(([box(0), box(50)], [box(0)], Answer(num_malformed=2)), ([box(0)], [box(2)]))
    assert found.pictures.num_truth.tolist() == [2, 1]
    assert found.pictures.num_predicted.tolist() == [3, 1]
    assert found.pictures.num_matched[:, 0].tolist() == [1, 1]  # IoU 8 / 12 of the second
    assert found.pictures.num_matched[:, -1].tolist() == [1, 0]
    assert (found.num_truth, found.num_predicted, found.num_matched) == (3, 4, 2)


def test_attributes_are_compared_on_matched_pairs_only():
    truth = [box(0, desc="type=screw,color=red,size=3"), box(50, desc="type=screw,color=red"), box(90, desc="screw")]
    said = [box(0, desc="type=screw,color=red,size=4"), box(50, desc="type=screw,state=ok"), box(90, desc="screw")]
    found = report((truth, [*said, box(200, desc="type=screw,color=red")])).descriptions
    assert (found.num_pairs, found.equality, found.attribute_accuracy) == (
        3,
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
    )
    assert {key: (row.num_right, row.num_truth) for key, row in found.per_attribute.items()} == {
        "color": (1, 2),
        "size": (0, 1),
    }


def test_without_pairs_there_is_no_figure_about_descriptions():
    found = report(([box(0, desc="type=screw,color=red")], []))
    assert (found.descriptions.equality, found.descriptions.attribute_accuracy) == (None, None)
    assert not any("description" in name or "attribute" in name for name in found.as_dict())


def test_too_many_and_too_few_do_not_cancel_out():
    found = report(([box(0)], [box(0), box(50), box(90, "label")]), ([box(0), box(50)], []), ([], [])).counts
    assert (found.error, found.bias, found.exact) == (pytest.approx(4 / 3), 0.0, pytest.approx(1 / 3))
    assert found.per_category == {"label": 1.0, "screw": 1.5}  # pictures without the category do not count


def test_an_object_said_again_is_a_duplicate_unless_it_finds_something():
    thrice, pair = [box(0)] * 3, [box(50), box(50.2)]
    assert report((thrice[:1], thrice)).failures.duplicate == pytest.approx(2 / 3)
    assert report(([], thrice)).failures.duplicate == pytest.approx(2 / 3)
    assert report((pair, pair)).failures.duplicate == 0.0  # two that lie on each other, rightly
    assert report(([], [box(0), box(0, "label")])).failures.duplicate == 0.0
    later = [box(0.2), box(0)]  # the second is the better one: the first is too many
    assert report(([box(0)], later)).failures.duplicate == 0.5


def test_a_shape_over_the_whole_picture_is_oversize_unless_one_is_there():
    whole, most = Labelled("device", Box(0, 0, 1000, 1000)), Labelled("device", Box(0, 0, 1000, 901))
    assert report(([box(0)], [whole, box(0)])).failures.oversize == 0.5
    assert report(([most], [whole])).failures.oversize == 0.0
    diagonal = Labelled("cable", Polyline(np.array([[0, 0], [1000, 1000]])))
    assert report(([], [diagonal])).failures.oversize == 0.0


def test_answers_fail_in_their_own_ways():
    faulty = Answer(faults=("cut_off", "cut_off", "not_json"), is_truncated=True)
    found = report(
        ([box(0)], [box(0)], faulty),
        ([box(0)], []),  # nothing is said
        ([], []),  # rightly nothing
        ([box(0)], [box(-1), box(995)], Answer(num_malformed=1, faults=("cut_off",))),
    ).failures
    assert found.by_fault == {"cut_off": 0.5, "not_json": 0.25}
    assert (found.faulty, found.truncated, found.silent) == (0.5, 0.25, 0.25)
    assert (found.malformed, found.out_of_grid) == (0.25, 0.5)


def test_an_answer_that_says_the_same_object_again_and_again_loops():
    assert report(([box(0)], [box(0)] * 4)).failures.looping == 1.0
    assert report(([box(0)], [box(0)] * 3)).failures.looping == 0.0
    assert report(([box(0)], [box(x) for x in range(0, 400, 20)])).failures.looping == 0.0


OBJECT = '"object_{}": {{"desc": "type=screw", "bbox_2d": [1, 2, 3, {}]}}'


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("", False),
        ("{" + ", ".join(OBJECT.format(n, 4) for n in range(1, 9)), True),  # only the number of the key goes up
        ("{" + ", ".join(OBJECT.format(n, 4) for n in range(1, 9)) + "}}", True),  # finished all the same
        ("{" + ", ".join(OBJECT.format(n, 10 + n) for n in range(1, 9)), False),
        ("a row of " + "9" * 64, True),
        ("a row of " + "9" * 20, False),  # short enough to be meant
        ("word " * 100_000, True),
        ('{"object_1": {"desc": "a"}}', False),
    ],
)
def test_a_text_loops_if_its_end_stands_four_times(text, loops):
    assert ends_in_loop(text) is loops


@given(st.text())
def test_any_text_can_be_searched_for_loops(text):
    assert ends_in_loop(text) in (True, False)


@pytest.mark.parametrize("shape", [Box(0, 0, 9, 9), Polyline(np.array([[0, 0], [99, 0], [99, 99]]))])
def test_thousands_of_repeated_objects_are_counted_in_bounded_time(shape):
    one = Labelled("a", shape)
    start = time.process_time()
    found = report(([one], [one] * 2000, Answer(text="x" * 100_000)))
    assert (found.num_matched, found.failures.duplicate) == (1, pytest.approx(1999 / 2000))
    assert time.process_time() - start < 10.0  # each pair for itself would take minutes


@pytest.mark.parametrize("method", ["score", "optimal"])
def test_other_methods_give_a_report_too(method):
    found = report(([box(0), box(50)], [box(0), box(51)]), method=method)
    assert (found.f1_50, found.f1_by_threshold[0.95]) == (1.0, 0.5)


def test_names_are_stable():
    names = set(gathered([([box(0)], [box(0)])]).compute().as_dict())
    assert {f"detection/{name}" for name in ("f1_50", "f1_50_95", "precision_50", "ap_boxes", "rate_looping")} <= names


def test_metrics_with_other_settings_do_not_merge():
    with pytest.raises(ValueError, match="different settings"):
        ReportMetric().merge(ReportMetric(line_tolerance=8.0))
    with pytest.raises(ValueError, match="different settings"):
        DetectionMetric().merge(DetectionMetric(threshold=0.3))


def test_detection_metrics_merge_to_that_of_all_pictures():
    left = DetectionMetric().update([box(0)], [box(0)])
    right = DetectionMetric().update([box(0)], [], num_malformed=1)
    whole = DetectionMetric().update([box(0)], [box(0)]).update([box(0)], [], num_malformed=1)
    assert left.merge(right).compute() == whole.compute()


def test_a_report_needs_a_picture_and_known_kinds():
    with pytest.raises(ValueError, match="no picture"):
        ReportMetric().compute()
    with pytest.raises(ValueError, match="boxes, masks"):
        ReportMetric(average_precision=("bbox",))
