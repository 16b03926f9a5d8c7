"""Each object is matched, missed, wrong or malformed, for a reason that is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from qvl.conversation import TextObject
from qvl.evaluation import Prediction
from qvl.records import Source
from qvl.visualization import Outcome, PictureReport, Report, judge

BOX = (100, 100, 200, 200)
FAR = (600, 600, 700, 700)
CLOSE = (100, 100, 200, 160)  # overlap with BOX: 0.6
POOR = (100, 100, 200, 130)  # 0.3


def box(desc: str, numbers: tuple[float, ...] = BOX) -> TextObject:
    return TextObject(desc, "bbox_2d", numbers)


def line(desc: str, *numbers: float) -> TextObject:
    return TextObject(desc, "line", numbers)


def prediction(truth: Sequence[TextObject], predicted: Sequence[TextObject], *, row: int = 1) -> Prediction:
    return Prediction(
        where=Source("p.jsonl", row),
        image="a.png",
        source="a.jsonl:1",
        width=10,
        height=10,
        truth=tuple(truth),
        predicted=tuple(predicted),
        faults=(),
        completion="",
        finish_reason="stop",
    )


def report(*predictions: Prediction) -> Report:
    return judge(predictions, threshold=0.5, line_tolerance=20.0)


def judged(truth: Sequence[TextObject], predicted: Sequence[TextObject]) -> PictureReport:
    return report(prediction(truth, predicted)).pictures[0]


def test_a_matched_pair_names_its_partner() -> None:
    picture = judged([box("psu", FAR), box("psu")], [box("psu", CLOSE)])
    assert [verdict.outcome for verdict in picture.truth] == [Outcome.MISSED, Outcome.MATCHED]
    assert picture.truth[1].note == "prediction 1, overlap 0.60"
    assert picture.predicted[0].note == "truth 2, overlap 0.60"
    assert picture.predicted[0].shape == box("psu", CLOSE).shape()


def test_other_descriptions_of_one_category_match_and_are_told() -> None:
    picture = judged([box("psu,state=ok")], [box("psu,state=fault")])
    assert picture.predicted[0].outcome is Outcome.MATCHED
    assert picture.predicted[0].desc_differs
    assert picture.truth[0].desc_differs
    assert not judged([box("psu")], [box("psu")]).truth[0].desc_differs


@pytest.mark.parametrize(
    ("truth", "predicted", "note"),
    [
        ([box("psu")], box("psu", FAR), "overlaps no truth"),
        ([], box("psu", FAR), "overlaps no truth"),
        ([box("psu")], box("psu", (1100, 0, 1200, 100)), "lies outside the picture"),
        ([box("psu")], box("psu", POOR), "nearest is truth 1, overlap 0.30"),
        ([box("switch")], box("psu", POOR), "nearest is truth 1, a switch, overlap 0.30"),
        ([box("switch")], box("psu", CLOSE), "truth 1 lies here but is a switch, overlap 0.60"),
        ([box("x" * 40)], box("psu"), f"truth 1 lies here but is a {'x' * 21}..., overlap 1.00"),
        ([line("psu", 100, 100, 200, 200)], box("psu"), "overlaps no truth"),  # a line and a region never agree
    ],
)
def test_a_wrong_prediction_says_what_is_there(truth: list[TextObject], predicted: TextObject, note: str) -> None:
    verdict = judged(truth, [predicted]).predicted[0]
    assert (verdict.outcome, verdict.note) == (Outcome.WRONG, note)


def test_an_object_that_is_named_twice_is_wrong_once() -> None:
    picture = judged([box("psu")], [box("psu", CLOSE), box("psu")])
    assert [verdict.outcome for verdict in picture.predicted] == [Outcome.WRONG, Outcome.MATCHED]
    assert picture.predicted[0].note == "truth 1 lies here and has another partner, overlap 0.60"


def test_a_shape_that_cannot_be_keeps_its_number_and_counts() -> None:
    picture = judged([box("psu")], [box("psu", (5, 5, 5, 5)), box("psu"), box("psu", (9, 0, 1, 1))])
    outcomes = [verdict.outcome for verdict in picture.predicted]
    assert outcomes == [Outcome.MALFORMED, Outcome.MATCHED, Outcome.MALFORMED]
    assert picture.predicted[0].shape is None
    assert picture.predicted[0].note.startswith("a box needs x1 < x2")
    assert picture.truth[0].note == "prediction 2, overlap 1.00"
    assert (picture.num_said, picture.num_matched, picture.num_errors) == (3, 1, 2)


def test_the_scores_are_those_of_the_evaluation() -> None:
    both = report(prediction([box("psu")], [box("psu")]), prediction([box("psu"), box("psu", FAR)], [], row=2))
    assert [picture.f1 for picture in both.pictures] == [1.0, 0.0]
    assert both.scores is not None
    assert (both.scores.precision, both.scores.recall, both.scores.f1) == (1.0, pytest.approx(1 / 3), 0.5)


def test_the_worst_come_first_and_equals_stay_in_order() -> None:
    rows = [
        prediction([box("psu")], [box("psu")], row=1),
        prediction([box("psu")], [], row=2),
        prediction([box("psu"), box("psu", FAR)], [], row=3),
        prediction([box("psu"), box("psu", FAR)], [box("psu")], row=4),
        prediction([], [], row=5),
        prediction([box("psu")], [], row=6),
    ]
    ranked = report(*rows).select(10, worst_first=True)
    assert [picture.prediction.where.line for picture in ranked] == [3, 2, 6, 4, 1, 5]
    assert [picture.prediction.where.line for picture in report(*rows).select(2, worst_first=True)] == [3, 2]
    assert [picture.prediction.where.line for picture in report(*rows).select(2, worst_first=False)] == [1, 2]


def test_no_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match="no picture"):
        report()
