"""Matching is one to one, takes the best first and does not depend on the order of its inputs."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.geometry import Box, overlap, shape_from_flat
from qvl.metrics import METHODS, Labelled, match

AGREE = partial(overlap, line_tolerance=20.0)

corner = st.integers(0, 4).map(float)  # few places, so that equal overlaps are common
labelled = st.builds(
    lambda category, x, y, w, h: Labelled(category, Box(x, y, x + w, y + h)),
    st.sampled_from(["screw", "label"]),
    corner,
    corner,
    st.sampled_from([2.0, 3.0]),
    st.sampled_from([2.0, 3.0]),
)
pictures = st.lists(labelled, max_size=6)


def box(x1, y1, x2, y2, category="screw") -> Labelled:
    return Labelled(category, Box(x1, y1, x2, y2))


def pairs(truth, predicted, **options) -> list[tuple[int, int]]:
    options = {"threshold": 0.5, "line_tolerance": 20.0} | options
    return [(i, j) for i, j, _ in match(truth, predicted, **options).pairs]


def test_the_best_overlap_is_taken_first():
    truth = [box(0, 0, 10, 10), box(0, 0, 10, 8)]
    predicted = [box(0, 0, 10, 8), box(0, 0, 10, 10)]
    matching = match(truth, predicted, threshold=0.5)
    assert matching.pairs == ((1, 0, 1.0), (0, 1, 1.0))  # equal overlaps: the smaller box sorts first


def test_a_second_prediction_of_one_object_finds_nothing():
    assert pairs([box(0, 0, 10, 10)], [box(0, 0, 10, 9), box(0, 0, 10, 10)]) == [(0, 1)]


def test_equal_objects_are_paired_in_the_order_of_their_indices():
    same = box(0, 0, 10, 10)
    assert pairs([same, same], [same, same, same]) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, [(0, 0)]), (0.51, [])])
def test_an_overlap_at_the_threshold_is_enough(threshold, expected):
    assert pairs([box(0, 0, 10, 10)], [box(0, 0, 10, 5)], threshold=threshold) == expected


def test_categories_must_agree_unless_told_otherwise():
    truth, predicted = [box(0, 0, 10, 10, "screw")], [box(0, 0, 10, 10, "label")]
    assert pairs(truth, predicted) == []
    assert pairs(truth, predicted, same_category=False) == [(0, 0)]


def test_a_box_may_find_a_polygon_but_never_a_line():
    square = [0, 0, 10, 0, 10, 10, 0, 10]
    truth = [Labelled("x", shape_from_flat("poly", square)), Labelled("x", shape_from_flat("line", square))]
    assert pairs(truth, [box(0, 0, 10, 10, "x")] * 2) == [(0, 0)]


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([box(0, 0, 1, 1)], []), ([], [box(0, 0, 1, 1)])])
def test_nothing_on_a_side_gives_no_pairs(truth, predicted):
    assert pairs(truth, predicted) == []


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, float("nan")])
def test_a_threshold_that_all_or_none_would_pass_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold must lie in"):
        match([], [], threshold=threshold)


@given(pictures, pictures, st.booleans())
def test_every_object_is_in_one_pair_at_most(truth, predicted, same_category):
    matched = match(truth, predicted, threshold=0.3, same_category=same_category).pairs
    assert len({i for i, _, _ in matched}) == len({j for _, j, _ in matched}) == len(matched)
    for i, j, score in matched:
        assert score == AGREE(truth[i].shape, predicted[j].shape) >= 0.3
        assert truth[i].category == predicted[j].category or not same_category
    assert [score for _, _, score in matched] == sorted((score for _, _, score in matched), reverse=True)


@given(pictures, pictures)
def test_no_pair_that_is_still_possible_is_left_out(truth, predicted):
    matched = pairs(truth, predicted, threshold=0.3)
    left_truth = [true for i, true in enumerate(truth) if i not in {i for i, _ in matched}]
    left_predicted = [guess for j, guess in enumerate(predicted) if j not in {j for _, j in matched}]
    assert pairs(left_truth, left_predicted, threshold=0.3) == []


@given(st.data(), pictures, pictures)
def test_the_same_objects_in_another_order_form_the_same_pairs(data, truth, predicted):
    def values(left, right):
        found = match(left, right, threshold=0.3, same_category=False).pairs
        return sorted((str(left[i]), str(right[j]), score) for i, j, score in found)

    shuffled = data.draw(st.permutations(truth)), data.draw(st.permutations(predicted))
    assert values(truth, predicted) == values(*shuffled)


@given(pictures, pictures, st.sampled_from(METHODS), st.booleans())
@settings(max_examples=60, deadline=None)  # scipy is imported at the first use
def test_every_method_pairs_one_to_one_above_the_threshold(truth, predicted, method, same_category):
    matched = match(truth, predicted, threshold=0.3, same_category=same_category, method=method).pairs
    assert len({i for i, _, _ in matched}) == len({j for _, j, _ in matched}) == len(matched)
    assert all(score == AGREE(truth[i].shape, predicted[j].shape) >= 0.3 for i, j, score in matched)


@given(pictures, pictures)
@settings(max_examples=60, deadline=None)
def test_the_optimal_matching_has_as_many_pairs_as_any_other(truth, predicted):
    def counted(method):
        found = match(truth, predicted, threshold=0.3, same_category=False, method=method).pairs
        return len(found), sum(score for _, _, score in found)

    possible = [
        (len(rows), sum(score for _, _, score in rows)) for rows in subsets(list(all_pairs(truth[:3], predicted[:3])))
    ]
    few = match(truth[:3], predicted[:3], threshold=0.3, same_category=False, method="optimal").pairs
    assert (len(few), sum(score for _, _, score in few)) == pytest.approx(max(possible))
    assert counted("optimal")[0] >= max(counted("overlap")[0], counted("score")[0])


def all_pairs(truth, predicted):
    for i, true in enumerate(truth):
        for j, said in enumerate(predicted):
            if (score := AGREE(true.shape, said.shape)) >= 0.3:
                yield i, j, score


def subsets(rows, used=((), ())):
    """Yield every set of rows in which no index stands twice."""
    if not rows:
        yield []
        return
    (i, j, score), *rest = rows
    yield from subsets(rest, used)
    if i not in used[0] and j not in used[1]:
        for more in subsets(rest, ((*used[0], i), (*used[1], j))):
            yield [(i, j, score), *more]


def test_the_best_overlap_first_may_leave_a_pair_out_that_the_optimum_finds():
    truth = [box(0, 0, 10, 10), box(4, 0, 14, 10)]
    crossed = [box(1, 0, 11, 10), box(-4, 0, 6, 10)]  # the first lies nearer to the first, the second to that only
    assert pairs(truth, crossed, threshold=0.4, method="overlap") == [(0, 0)]
    assert sorted(pairs(truth, crossed, threshold=0.4, method="optimal")) == [(0, 1), (1, 0)]


def test_the_surest_prediction_chooses_first():
    truth = [box(0, 0, 10, 10)]
    exact, sure = box(0, 0, 10, 10), Labelled("screw", Box(0, 0, 10, 9), score=2.0)
    assert pairs(truth, [exact, sure], method="score") == [(0, 1)]
    assert pairs(truth, [exact, sure]) == [(0, 0)]
    assert pairs(truth, [exact, exact], method="score") == [(0, 0)]  # equal scores: the one said first


def test_a_score_that_is_no_number_cannot_choose():
    unsure = Labelled("screw", Box(0, 0, 10, 9), score=float("nan"))
    with pytest.raises(ValueError, match="scores must be finite, got nan"):
        pairs([box(0, 0, 10, 10)], [box(0, 0, 10, 10), unsure], method="score")


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="overlap, score, optimal"):
        match([], [], threshold=0.5, method="best")


@given(pictures, pictures)
@settings(max_examples=40, deadline=None)
def test_pairs_at_a_higher_threshold_are_those_of_a_lower_one_that_reach_it(truth, predicted):
    low = match(truth, predicted, threshold=0.3).pairs
    high = match(truth, predicted, threshold=0.6).pairs
    assert high == tuple(pair for pair in low if pair[2] >= 0.6)
