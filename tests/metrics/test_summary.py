"""Summaries are compared fact by fact, whatever the model writes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.conversation import IRRELEVANT, SummaryWriter
from qvl.metrics import SummaryMetric, read_summary

WRITER = SummaryWriter()
descs = st.lists(st.sampled_from(["type=cable,color=red", "type=cable", "type=screw,state=ok|loose"]), min_size=1)


def scores(truth, said, **options):
    return SummaryMetric(**options).update(truth, said).compute()


@given(descs)
def test_the_summary_itself_is_an_exact_match(said):
    text = WRITER.write(said)
    found = scores(text, text)
    assert set(found.as_dict().values()) == {1.0}


def test_facts_count_as_often_as_they_are_counted():
    truth, said = WRITER.write(["type=cable,color=red"] * 2), WRITER.write(["type=cable,color=red"] * 3)
    found = scores(truth, said)  # the category and 2 of 3
    assert (found.precision, found.recall, found.exact_match, found.same_facts) == (0.75, 1.0, 0.0, 0.0)


def test_a_count_word_makes_the_number_of_objects_a_fact():
    writer = SummaryWriter(count_word="n")
    found = scores(writer.write(["type=cable"] * 4), writer.write(["type=cable"]), writer=writer)
    assert (found.precision, found.recall) == (1.0, 0.25)


def test_categories_are_scored_apart():
    truth = WRITER.write(["type=cable,color=red", "type=screw"])
    found = scores(truth, WRITER.write(["type=cable,color=blue", "type=label"]))
    assert {name: row.f1 for name, row in found.per_category.items()} == {"cable": 0.5, "label": 0.0, "screw": 0.0}
    assert found.f1 == pytest.approx(1 / 3)


def test_another_order_states_the_same_facts():
    truth = WRITER.write(["type=cable", "type=screw"])
    turned = {"统计": json.loads(truth)["统计"][::-1]}
    found = scores(truth, json.dumps(turned))
    assert (found.exact_match, found.same_facts, found.f1) == (0.0, 1.0, 1.0)


def test_an_irrelevant_picture_states_nothing():
    assert scores(IRRELEVANT, IRRELEVANT).as_dict()["summary/f1"] == 1.0
    assert scores(IRRELEVANT, WRITER.write(["type=cable"])).f1 == 0.0


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "null", '{"统计": 1}', '{"统计": [1]}', '{"统计": [{"类别": 1}]}', "[" * 100_000),
        '{"统计": [{"类别": "a", "b": {"c": -1}}]}',
        '{"统计": [{"类别": "a", "b": {"c": true}}]}',
        '{"统计": [{"类别": "a", "b": {"c": NaN}}]}',
        '{"统计": [{"类别": "a", "b": {"c": ' + "9" * 5000 + "}}]}",
    ],
)
def test_an_answer_of_another_form_is_unreadable_and_misses_everything(text):
    found = scores(WRITER.write(["type=cable"]), text)
    assert (found.readable, found.f1, found.recall) == (0.0, 0.0, 0.0)


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.text(), st.recursive(st.integers() | st.text(), st.lists).map(json.dumps)))
def test_any_text_can_be_read(text):
    found = read_summary(text, writer=WRITER)
    assert found is None or found.total() >= 0


def test_states_merge():
    rows = [(WRITER.write(["type=cable"]), WRITER.write(["type=cable"])), (WRITER.write(["type=screw"]), "?")]
    left, right = (SummaryMetric().update(*row) for row in rows)
    assert left.merge(right).compute() == SummaryMetric().update(*rows[0]).update(*rows[1]).compute()
    with pytest.raises(ValueError, match="different writers"):
        left.merge(SummaryMetric(writer=SummaryWriter(count_word="n")))


def test_a_truth_that_is_no_summary_is_an_error():
    with pytest.raises(ValueError, match="the annotated summary has another form"):
        SummaryMetric().update("a street", IRRELEVANT)
    with pytest.raises(ValueError, match="no summary"):
        SummaryMetric().compute()
