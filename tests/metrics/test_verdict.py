"""Verdicts that are wrong are told apart by the harm they do."""

from __future__ import annotations

import pytest

from qvl.metrics import VerdictMetric


def gathered(*rows):
    metric = VerdictMetric()
    for should_pass, passed in rows:
        metric.update(should_pass=should_pass, passed=passed)
    return metric


def test_false_pass_and_false_fail_are_shares_of_those_that_could_go_wrong_so():
    found = gathered(
        (True, True), (True, False), (False, True), (False, False), (False, False), (False, None)
    ).compute()
    assert (found.accuracy, found.false_pass, found.false_fail) == (0.5, 0.25, 0.5)
    assert found.unreadable == pytest.approx(1 / 6)
    assert (found.num_verdicts, found.num_should_fail, found.num_false_pass, found.num_false_fail) == (6, 4, 1, 1)


def test_a_share_of_nothing_is_left_out():
    assert gathered((True, True)).compute().as_dict() == {
        "verdict/accuracy": 1.0,
        "verdict/false_fail": 0.0,
        "verdict/unreadable": 0.0,
    }


def test_states_merge():
    left, right = [(True, False), (False, None)], [(False, True)]
    assert gathered(*left).merge(gathered(*right)).compute() == gathered(*left, *right).compute()


def test_no_verdict_has_no_score():
    with pytest.raises(ValueError, match="no verdict"):
        VerdictMetric().compute()
