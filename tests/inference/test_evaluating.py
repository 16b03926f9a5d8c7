from __future__ import annotations

import json
from typing import ClassVar

import pytest
from PIL import Image

from qvl.conversation import NUMBER_LIMIT, DenseBuilder, SummaryBuilder
from qvl.data import FusionDataset, JsonlDataset, KeepAll, RowSource, SampleContext, TurnFormat
from qvl.errors import QvlError
from qvl.evaluation import read_predictions, score_predictions
from qvl.inference import AnswerEvaluation, Completion
from qvl.inference import evaluating as module
from qvl.prompts import PromptScheme
from qvl.runtime.distributed import Rank

ROW = {
    "images": ["a.png"],
    "width": 200,
    "height": 100,
    "objects": [{"desc": "type=screw", "bbox_2d": [20, 10, 60, 30]}, {"desc": "type=cable", "line": [0, 50, 200, 60]}],
}
SUMMARY = '{"统计": [{"类别": "cable", "数量": 1}]}'
SETTINGS = {
    "num_samples": 5,
    "num_pictures": 2,
    "max_new_tokens": 9,
    "batch_size": 2,
    "line_tolerance": 20.0,
    "average_precision": ["boxes"],
}


class FakeModel:
    training = True

    def train(self, mode: bool) -> None:
        self.training = mode


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    (tmp_path / "val.jsonl").write_text(json.dumps(ROW) + "\n")
    return tmp_path


@pytest.fixture
def engine(monkeypatch):
    """The fake engine; its `answer` is what it says to everything, its `batches` are the sizes it was asked."""

    class FakeEngine:
        answer = ""
        batches: ClassVar[list[int]] = []

        def __init__(self, *args: object, **kwargs: object) -> None: ...

        def answers(self, conversations):
            self.batches.append(len(conversations))
            return iter([Completion(self.answer, "stop") for _ in conversations])

    monkeypatch.setattr(module, "Engine", FakeEngine)
    return FakeEngine


def make(folder, *, emit_norm: str = "norm1000", **settings: object) -> AnswerEvaluation:
    builder = DenseBuilder(prompts=PromptScheme(user="list"), emit_norm=emit_norm)
    form = TurnFormat(emit_norm, "tlbr", "图片", 1, 10**6)
    context = SampleContext(builder, form, 0, training=False)
    path = str(folder / "val.jsonl")
    rows = JsonlDataset(path=path, preprocessor=KeepAll(), context=context, images_per_user_turn=1, shuffle=False)
    return AnswerEvaluation(dataset=rows, form=form, settings=SETTINGS | settings, folder=folder)


@pytest.fixture
def evaluate(folder, engine):
    """Evaluates one picture on which the model answers with a given text."""

    def run(answer: str, **settings: object) -> dict[str, float]:
        engine.answer = answer
        return make(folder, **settings)(FakeModel(), None, name="now").scores

    return run


ANSWERS = {
    "norm1000": ([100, 100, 300, 300], [0, 500, 1000, 600]),
    "norm100": ([10, 10, 30, 30], [0, 50, 100, 60]),
    "none": ([20, 10, 60, 30], [0, 50, 200, 60]),
}


def text(box: list[int], line: list[int]) -> str:
    objects = {"object_1": {"desc": "type=screw", "bbox_2d": box}, "object_2": {"desc": "type=cable", "line": line}}
    return json.dumps(objects)


@pytest.mark.parametrize("emit_norm", ANSWERS)
def test_a_perfect_answer_scores_one_in_every_unit(evaluate, emit_norm):
    scores = evaluate(text(*ANSWERS[emit_norm]), emit_norm=emit_norm)
    for name in ("f1_50", "precision_50", "recall_50", "f1_50_95", "ap_boxes"):
        assert scores[f"detection/{name}"] == pytest.approx(1.0)
    assert scores["detection/rate_faulty"] == 0.0


def test_a_missed_object_costs_recall_and_an_impossible_one_precision(evaluate):
    scores = evaluate('{"object_1": {"desc": "type=screw", "bbox_2d": [100, 100, 300, 300]}}')
    assert (scores["detection/precision_50"], scores["detection/recall_50"]) == (1.0, 0.5)
    scores = evaluate(text([300, 100, 100, 300], [0, 500, 1000, 600]))
    assert (scores["detection/precision_50"], scores["detection/recall_50"]) == (0.5, 0.5)


@pytest.mark.parametrize("answer", ["", "no JSON", '{"object_1": {"desc": "x", "bbox_2d": [1, 2'])
def test_an_answer_that_cannot_be_read_is_counted_not_skipped(evaluate, answer):
    scores = evaluate(answer)
    assert scores["detection/f1_50"] == 0.0
    assert scores["detection/rate_faulty"] == 1.0


def test_huge_numbers_do_not_end_the_evaluation(evaluate):
    scores = evaluate(text([NUMBER_LIMIT] * 4, [0, 50, 100, 60]), emit_norm="norm100")
    assert scores["detection/recall_50"] == 0.5


def test_nothing_is_answered_when_no_sample_is_asked_for(evaluate, engine, folder):
    assert evaluate("", num_samples=0) == {}
    assert engine.batches == []
    assert not list(folder.glob("predictions_*"))


def test_the_scores_are_those_of_the_file_that_is_written(evaluate, folder):
    scores = evaluate(text([100, 100, 300, 250], [0, 500, 1000, 600]))
    predictions = read_predictions(folder / "predictions_now.jsonl")
    assert scores == score_predictions(predictions, line_tolerance=20.0, average_precision=["boxes"]).as_dict()
    (row,) = predictions
    assert row.source.endswith("val.jsonl:1")
    assert [item.desc for item in row.truth] == [item.desc for item in row.predicted]


@pytest.fixture
def mixed(folder):
    """An evaluation of three dense rows, two summaries and a chat."""
    (folder / "val.jsonl").write_text((json.dumps(ROW) + "\n") * 3)
    (folder / "sums.jsonl").write_text((json.dumps({**ROW, "objects": [], "summary": SUMMARY}) + "\n") * 2)
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    (folder / "chat.jsonl").write_text(json.dumps({"images": [], "messages": turns}) + "\n")
    prompts = PromptScheme(user="list")
    form = TurnFormat("norm1000", "tlbr", "图片", 1, 10**6)
    context = SampleContext(DenseBuilder(prompts=prompts, emit_norm="norm1000"), form, 0, training=False)
    shared = {"preprocessor": KeepAll(), "images_per_user_turn": 1}
    from qvl.conversation import ChatBuilder

    sources = {
        "dense": RowSource(path=str(folder / "val.jsonl"), **shared),
        "chat": RowSource(path=str(folder / "chat.jsonl"), builder=ChatBuilder(), **shared),
        "sums": RowSource(path=str(folder / "sums.jsonl"), builder=SummaryBuilder(prompts=prompts), **shared),
    }
    dataset = FusionDataset(sources=sources, context=context, shuffle=False)
    return AnswerEvaluation(dataset=dataset, form=form, settings={**SETTINGS, "num_samples": 4}, folder=folder)


def test_objects_and_summaries_are_answered_in_turn_and_chat_is_not(mixed, engine, folder):
    engine.answer = SUMMARY
    answered = mixed(FakeModel(), None, name="now")
    predictions = read_predictions(folder / "predictions_now.jsonl")
    assert [row.summary is None for row in predictions] == [True, False, True, False]
    assert answered.scores["summary/f1"] == 1.0
    assert answered.scores["detection/recall_50"] == 0.0


def test_the_worst_pictures_are_shown_and_no_more_than_asked_for(mixed, engine):
    assert len(mixed(FakeModel(), None, name="now").pictures) == 2


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_all_processes_answer_as_many_batches_and_give_the_scores_of_one(mixed, engine, world, size):
    engine.answer = SUMMARY
    alone = mixed(FakeModel(), None, name="alone").scores
    rows = (mixed.folder / "predictions_alone.jsonl").read_bytes()
    engine.batches.clear()
    between: list[int] = []

    def work(rank: Rank) -> object:
        return mixed(FakeModel(), None, name="shared", between=lambda: between.append(rank.rank))

    answered = world(size, work)
    assert [one.scores for one in answered] == [alone] * size
    assert [len(one.pictures) for one in answered] == [2] + [0] * (size - 1)
    assert (mixed.folder / "predictions_shared.jsonl").read_bytes() == rows
    counts = [between.count(rank) for rank in range(size)]
    assert counts == [counts[0]] * size
    assert sum(engine.batches) == size * -(-4 // size), "who runs out of turns repeats one"


def test_a_picture_that_is_gone_ends_all_processes(folder, engine, world):
    (folder / "a.png").unlink()
    ended = world(2, lambda rank: make(folder)(FakeModel(), None, name="now"))
    assert all(isinstance(error, QvlError) and "a.png" in str(error) for error in ended)


def test_the_model_is_left_in_the_mode_it_was_in(folder, engine):
    model = FakeModel()

    def cut() -> None:
        model.training = False
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(folder)(model, None, name="now", between=cut)
    assert model.training


@pytest.mark.parametrize(("longest", "limit"), [(100, 128), (103, 192), (51, 64), (512, 640)])
def test_the_limit_of_tokens_is_a_quarter_above_the_longest_true_answer(folder, longest, limit):
    (folder / "val.jsonl").write_text((json.dumps(ROW) + "\n") * 3)
    fitted = make(folder, max_new_tokens=None).fitted(lambda ticket: longest if ticket.rows == (1,) else 7)
    assert fitted.settings["max_new_tokens"] == limit


def test_a_limit_that_cuts_off_true_answers_stays_and_is_told(folder, caplog):
    (folder / "val.jsonl").write_text((json.dumps(ROW) + "\n") * 3)
    fitted = make(folder, max_new_tokens=50).fitted(lambda ticket: (40, 50, 60)[ticket.rows[0]])
    assert fitted.settings["max_new_tokens"] == 50
    assert "evaluation.max_new_tokens=50 cuts off 1 of 3 true answers (up to 60 tokens)" in caplog.text
    caplog.clear()
    make(folder, max_new_tokens=60).fitted(lambda ticket: 60)
    assert not caplog.text
