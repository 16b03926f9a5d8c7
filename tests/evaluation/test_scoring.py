"""Predictions are scored by the rules of the metrics, whatever wrote them."""

from __future__ import annotations

import json

import pytest
from prediction_rows import BOX, LINE, Row, answered, summary, summed_up, unanswered

from qvl.conversation import SummaryWriter
from qvl.evaluation import Prediction, Scores, find_writer, make_prediction, score_predictions
from qvl.records import Source


def predictions(*rows: Row) -> list[Prediction]:
    return [make_prediction(row, Source("p.jsonl", line)) for line, row in enumerate(rows, 1)]


def scored(*rows: Row) -> Scores:
    return score_predictions(predictions(*rows), line_tolerance=20.0)


def test_objects_are_matched_by_place_and_category() -> None:
    report = scored(answered(), answered(predicted=[{**BOX, "desc": "type=nail"}, LINE])).detection
    assert report is not None
    assert (report.num_truth, report.num_predicted, report.num_matched) == (4, 3, 2)
    assert report.descriptions.equality == 1.0


def test_an_object_without_a_shape_is_malformed_and_counts_as_predicted() -> None:
    figures = scored(answered(predicted=[BOX, {**BOX, "numbers": [5, 5, 5, 5]}])).as_dict()
    assert (figures["detection/rate_malformed"], figures["detection/precision_50"]) == (0.5, 0.5)


def test_a_picture_that_was_not_answered_counts_as_a_silent_one() -> None:
    scores = scored(answered(), unanswered(), unanswered(faults=[]))
    figures = scores.as_dict()
    assert (scores.num_pictures, scores.num_errors) == (3, 2)
    assert figures["detection/rate_silent"] == figures["detection/fault/not_answered"] == pytest.approx(2 / 3)
    assert figures["detection/recall_50"] == pytest.approx(1 / 6)


def test_faults_and_limits_are_counted() -> None:
    row = {**answered(), "faults": [{"code": "not_json", "where": "x", "message": "y"}], "finish_reason": "length"}
    figures = scored(row, answered()).as_dict()
    assert (figures["detection/fault/not_json"], figures["detection/rate_truncated"]) == (0.5, 0.5)


def test_scores_order_the_objects_only_if_all_have_one() -> None:
    wrong = {**BOX, "numbers": [600, 600, 900, 900]}
    unsure = [{**wrong, "score": -3.0}, {**BOX, "score": -0.1}]
    whole = scored(answered(truth=[BOX], predicted=unsure)).as_dict()
    part = scored(answered(truth=[BOX], predicted=[unsure[0], BOX])).as_dict()
    assert whole["detection/ap_boxes"] == pytest.approx(1.0)
    assert part["detection/ap_boxes"] == pytest.approx(0.5)


def test_summaries_are_scored_beside_objects() -> None:
    scores = scored(answered(), summed_up(truth=summary(screw=2), said=summary(screw=3)))
    assert (scores.detection is not None, scores.num_pictures) == (True, 2)
    assert scores.summary is not None
    assert (scores.summary.precision, scores.summary.recall) == (pytest.approx(2 / 3), 1.0)
    assert set(scores.categories()) == {"detection", "summary"}


def test_free_text_is_counted_and_not_scored() -> None:
    scores = scored(summed_up(truth="a fine picture", said="a fine picture"))
    assert (scores.summary, scores.num_unscored, scores.as_dict()) == (None, 1, {})


@pytest.mark.parametrize(
    "writer",
    [
        SummaryWriter(),
        SummaryWriter(count_word="数量"),
        SummaryWriter(statistics_word="objects", category_word="type", remarks_word="remarks", groups_word="groups"),
        SummaryWriter(statistics_word="备注", remarks_word="x"),
    ],
)
def test_the_words_of_a_writer_are_told_from_what_it_wrote(writer: SummaryWriter) -> None:
    texts = [
        "无关图片",
        writer.write(["type=screw,color=red,备注=bent", "type=cable", "type=cable,color=red|blue,组=1"]),
    ]
    found = find_writer(texts)
    assert (found.statistics_word, found.category_word, found.count_word) == (
        writer.statistics_word, writer.category_word, writer.count_word,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"": [{"a": 1}]}', '{"a": []}', '{"a": [{}]}', '{"a": [{"": 1}]}']
)
def test_a_text_that_is_no_summary_leaves_the_usual_words(text: str) -> None:
    assert find_writer([text, json.dumps({"a": 3})]) == SummaryWriter()
