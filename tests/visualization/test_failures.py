"""What is told of each answer is what the rates of the report count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.conversation import Fault, TextObject
from qvl.evaluation import Prediction, score_predictions
from qvl.records import Source
from qvl.visualization import Failure, Outcome, judge

PLACES = ((100, 100, 200, 200), (102, 100, 200, 200), (0, 0, 1000, 990), (900, 900, 1100, 990), (5, 5, 5, 5))
BOXES = st.builds(TextObject, st.sampled_from(["psu", "cable"]), st.just("bbox_2d"), st.sampled_from(PLACES))
SOUND = BOXES.filter(lambda item: item.numbers not in PLACES[3:])
LOOP = "the same words again, " * 9


def row(
    truth: Sequence[TextObject],
    predicted: Sequence[TextObject],
    *,
    completion: str = "",
    is_cut: bool = False,
    error: str | None = None,
) -> Prediction:
    return Prediction(
        where=Source("p.jsonl", 1),
        image="a.png",
        source="a.jsonl:1",
        width=10,
        height=10,
        truth=tuple(truth),
        predicted=() if error else tuple(predicted),
        faults=(Fault("truncated", "answer", "it ends"),) if is_cut else (),
        completion=completion,
        finish_reason="length" if is_cut else "stop",
        error=error,
    )


ROWS = st.builds(
    row,
    st.lists(SOUND, max_size=3),
    st.lists(BOXES, max_size=6),
    completion=st.sampled_from(["", LOOP]),
    is_cut=st.booleans(),
    error=st.sampled_from([None, None, "gone"]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_what_is_told_adds_up_to_the_rates(rows: list[Prediction]) -> None:
    report, scores = judge(rows), score_predictions(rows, line_tolerance=20.0)
    assert report.scores is not None
    assert scores.detection is not None
    rates = scores.detection.failures
    pictures = report.pictures
    answers = {
        Failure.TRUNCATED: rates.truncated,
        Failure.LOOPING: rates.looping,
        Failure.SILENT: rates.silent,
        Failure.FAULTY: rates.faulty,
    }
    for kind, rate in answers.items():
        assert sum(kind in picture.failures for picture in pictures) / len(pictures) == pytest.approx(rate), kind
    said = max(sum(picture.num_said for picture in pictures), 1)
    objects = {
        Failure.DUPLICATE: rates.duplicate,
        Failure.OVERSIZE: rates.oversize,
        Failure.OUT_OF_GRID: rates.out_of_grid,
    }
    for kind, rate in objects.items():
        assert sum(picture.count(kind) for picture in pictures) / said == pytest.approx(rate), kind
        assert all((kind in picture.failures) == (picture.count(kind) > 0) for picture in pictures)
    malformed = [one.outcome is Outcome.MALFORMED for picture in pictures for one in picture.predicted]
    assert sum(malformed) / said == pytest.approx(rates.malformed)
    assert report.scores.f1 == pytest.approx(scores.detection.f1_50)


def test_a_picture_that_was_not_answered_is_told_apart_from_a_silent_one() -> None:
    box = TextObject("psu", "bbox_2d", PLACES[0])
    silent, gone = judge([row([box], []), row([box], [], error="no such picture")]).pictures
    assert silent.failures == {Failure.SILENT}
    assert gone.failures == {Failure.SILENT, Failure.NOT_ANSWERED, Failure.FAULTY}
    assert (silent.f1, gone.f1) == (0.0, 0.0)


def test_scores_stay_with_their_objects() -> None:
    items = [TextObject("psu", "bbox_2d", place) for place in (PLACES[4], PLACES[0], PLACES[2])]
    picture = judge([replace(row([], items), scores=(-0.5, None, -2.0))]).pictures[0]
    assert [verdict.score for verdict in picture.predicted] == [-0.5, None, -2.0]
    assert picture.lowest_score == -2.0
    assert judge([row([], items)]).pictures[0].lowest_score is None
