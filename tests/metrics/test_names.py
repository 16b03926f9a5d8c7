"""Every figure of a report has a name that is known, a label and a good direction."""

from __future__ import annotations

import pytest

from qvl.conversation import FAULT_CODES, SummaryWriter
from qvl.geometry import Box
from qvl.metrics import (
    HEADLINE,
    KINDS,
    Answer,
    Labelled,
    ReportMetric,
    SummaryMetric,
    VerdictMetric,
    higher_is_better,
    is_score,
    label_of,
)
from qvl.metrics.names import _LABELS

OF_THE_TRAINER = {"loss", "token_acc"}
BACKWARDS = {
    *("loss", "detection/count_error", "detection/fault/not_json", "detection/category/screw/count_error"),
    *(f"detection/rate_{name}" for name in ("faulty", "truncated", "looping", "silent")),
    *(f"detection/rate_{name}" for name in ("malformed", "duplicate", "oversize", "out_of_grid")),
    *("verdict/false_pass", "verdict/false_fail", "verdict/unreadable"),
}


def reported(**options) -> set[str]:
    """Return the names of all figures of all reports."""
    screw = Labelled("screw", Box(0, 0, 10, 10), "type=screw,color=red")
    report = ReportMetric(average_precision=KINDS).update([screw], [screw], Answer(faults=("not_json",))).compute()
    text = SummaryWriter().write(["type=screw"])
    verdicts = VerdictMetric().update(should_pass=True, passed=True).update(should_pass=False, passed=None).compute()
    found = report.as_dict(**options).keys() | SummaryMetric().update(text, text).compute().as_dict().keys()
    return {*found, *verdicts.as_dict()}


def test_the_fixed_names_are_those_that_the_reports_give():
    assert reported() - {"detection/fault/not_json"} | OF_THE_TRAINER == set(_LABELS)
    assert set(HEADLINE) <= set(_LABELS)


def test_names_of_categories_and_faults_are_known_by_their_pattern():
    names = reported(per_category=True)
    assert len(names - set(_LABELS)) == 1 + 4 + len(KINDS)
    assert all(map(is_score, names))
    assert all(is_score(f"detection/fault/{code}") for code in FAULT_CODES)
    assert is_score("detection/category/loss/rate_a/count_error"), "a category may have any name"
    assert label_of("detection/category/a/b/f1_50") == "a/b: F1@0.5"
    assert label_of("detection/fault/not_json") == "answers with not_json"


@pytest.mark.parametrize(
    "name", ["", "f1", "parse_rate", "eval_loss", "detection/f1", "detection/category/a/f2", "last"]
)
def test_other_names_are_no_scores_and_label_themselves(name):
    assert not is_score(name)
    assert label_of(name) == name


def test_labels_are_short_and_tell_scores_apart():
    labels = [label_of(name) for name in _LABELS]
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= 32


def test_failures_and_errors_are_better_low_and_everything_else_high():
    names = reported(per_category=True) | OF_THE_TRAINER
    directed = sorted(names - {"detection/count_bias"})
    assert {name for name in directed if not higher_is_better(name)} == BACKWARDS
    assert all(higher_is_better(f"eval_{name}") == higher_is_better(name) for name in directed)


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        *(("eval_loss_demo", False), ("my_loss", False), ("glossary", True), ("f1", True)),
        *(("detection/category/loss/f1_50", True), ("detection/category/rate_a/ap_boxes", True)),
    ],
)
def test_a_name_that_is_not_known_goes_by_its_words(name, higher):
    assert higher_is_better(name) is higher


def test_a_bias_has_no_good_direction():
    with pytest.raises(ValueError, match=r"detection/count_bias is best at 0.*take detection/count_error"):
        higher_is_better("eval_detection/count_bias")
