"""A summary is judged fact by fact, by the rules of its score."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.conversation import IRRELEVANT
from qvl.evaluation import Prediction, score_predictions
from qvl.records import Source
from qvl.visualization import Failure, Outcome, PictureReport, judge


def summary(**counts: dict[str, int]) -> str:
    """Return a summary of categories with the counts of their states."""
    entries = [{"类别": name, "数量": sum(states.values()), "state": states} for name, states in counts.items()]
    return json.dumps({"统计": entries}, ensure_ascii=False)


TRUTH = summary(psu={"ok": 1, "bad": 1}, cable={"ok": 3})


def row(annotated: str, said: str, *, completion: str = "") -> Prediction:
    return Prediction(Source("p.jsonl", 1), "a.png", "a", 10, 10, (), (), (), completion, "stop", (), (annotated, said))


def judged(annotated: str, said: str) -> PictureReport:
    return judge([row(TRUTH, TRUTH), row(annotated, said)]).pictures[1]


def test_each_fact_is_right_missed_or_wrong() -> None:
    picture = judged(TRUTH, summary(psu={"ok": 3}, fan={"ok": 1}))
    told = {(fact.category, fact.value): (fact.num_true, fact.num_said, fact.outcome) for fact in picture.facts}
    assert told == {
        ("psu", ""): (2, 3, Outcome.WRONG),
        ("psu", "ok"): (1, 3, Outcome.WRONG),
        ("psu", "bad"): (1, 0, Outcome.MISSED),
        ("cable", ""): (3, 0, Outcome.MISSED),
        ("cable", "ok"): (3, 0, Outcome.MISSED),
        ("fan", ""): (0, 1, Outcome.WRONG),
        ("fan", "ok"): (0, 1, Outcome.WRONG),
    }
    assert (picture.num_true, picture.num_said, picture.num_matched, picture.num_errors) == (10, 8, 3, 12)
    assert judged(TRUTH, TRUTH).f1 == 1.0


STATES = st.dictionaries(st.sampled_from(["ok", "bad"]), st.integers(1, 3), min_size=1)
SUMMARIES = st.dictionaries(st.sampled_from(["psu", "cable"]), STATES).map(lambda counts: summary(**counts))


@settings(deadline=None, max_examples=40)
@given(SUMMARIES, SUMMARIES | st.sampled_from(["", "words", IRRELEVANT]))
def test_the_f1_of_one_summary_is_its_score(annotated: str, said: str) -> None:
    scores = score_predictions([row(annotated, said)], line_tolerance=20.0).summary
    assert scores is not None
    picture = judge([row(annotated, said)]).pictures[0]
    if Failure.UNREADABLE in picture.failures and not picture.facts:
        assert picture.f1 == 0.0  # the score cannot tell it from an empty summary
    else:
        assert picture.f1 == pytest.approx(scores.f1)
    assert (Failure.UNREADABLE in picture.failures) == (scores.readable == 0.0)


def test_free_text_is_compared_as_text() -> None:
    assert judged("two psu", "two psu ").f1 == 1.0
    assert judged("two psu", "a psu").f1 == 0.0
    assert judged("two psu", "a psu").failures == frozenset()


def test_summaries_and_objects_stand_in_one_report() -> None:
    boxes = Prediction(Source("p.jsonl", 2), "a.png", "a", 10, 10, (), (), (), "", "stop")
    both = judge([row(TRUTH, TRUTH), boxes])
    assert both.scores is not None
    assert both.scores.num_images == 1
    assert both.summary is not None
    assert both.summary.num_summaries == 1
    assert list(both.per_category) == ["Categories", "Categories of summaries"]
    only = judge([row(TRUTH, TRUTH)])
    assert only.scores is None
    assert only.headline == "F1 of summaries 1.000, 1.000 of them word for word over 1 pictures"
