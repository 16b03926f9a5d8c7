from __future__ import annotations

import json

import pytest

from qvl.conversation import NUMBER_LIMIT, DenseBuilder
from qvl.data import JsonlDataset, KeepAll, SampleContext, TurnFormat
from qvl.inference import Completion, DetectionEvaluation
from qvl.inference import detection as module
from qvl.prompts import PromptScheme

ROW = {
    "images": ["a.png"],
    "width": 200,
    "height": 100,
    "objects": [{"desc": "type=screw", "bbox_2d": [20, 10, 60, 30]}, {"desc": "type=cable", "line": [0, 50, 200, 60]}],
}


class FakeModel:
    training = True

    def train(self, mode: bool) -> None:
        self.training = mode


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Evaluates one picture on which the model answers with a given text."""
    from PIL import Image

    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    (tmp_path / "val.jsonl").write_text(json.dumps(ROW) + "\n")

    def run(answer: str, *, emit_norm: str = "norm1000", **settings: object) -> dict[str, float]:
        class FakeEngine:
            def __init__(self, *args: object, **kwargs: object) -> None: ...

            def answers(self, conversations):
                return iter([Completion(answer, "stop") for _ in conversations])

        monkeypatch.setattr(module, "Engine", FakeEngine)
        builder = DenseBuilder(prompts=PromptScheme(user="list"), emit_norm=emit_norm)
        form = TurnFormat(emit_norm, "tlbr", "图片", 1, 10**6)
        context = SampleContext(builder, form, 0, training=False)
        rows = JsonlDataset(path=str(tmp_path / "val.jsonl"), preprocessor=KeepAll(), context=context, shuffle=False)
        values = {"num_samples": 5, "max_new_tokens": 9, "batch_size": 2, "threshold": 0.5, "line_tolerance": 20.0}
        score = DetectionEvaluation(dataset=rows, form=form, settings=values | settings, folder=tmp_path)
        return score(FakeModel(), None, name="now")  # type: ignore[arg-type]

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
    assert scores == {"f1": 1.0, "precision": 1.0, "recall": 1.0, "parse_rate": 1.0}


def test_a_missed_object_costs_recall_and_an_impossible_one_precision(evaluate):
    scores = evaluate('{"object_1": {"desc": "type=screw", "bbox_2d": [100, 100, 300, 300]}}')
    assert (scores["precision"], scores["recall"]) == (1.0, 0.5)
    scores = evaluate(text([300, 100, 100, 300], [0, 500, 1000, 600]))
    assert (scores["precision"], scores["recall"]) == (0.5, 0.5)


@pytest.mark.parametrize("answer", ["", "no JSON", '{"object_1": {"desc": "x", "bbox_2d": [1, 2'])
def test_an_answer_that_cannot_be_read_is_counted_not_skipped(evaluate, answer):
    assert evaluate(answer) == {"f1": 0.0, "precision": 0.0, "recall": 0.0, "parse_rate": 0.0}


def test_huge_numbers_do_not_end_the_evaluation(evaluate):
    scores = evaluate(text([NUMBER_LIMIT] * 4, [0, 50, 100, 60]), emit_norm="norm100")
    assert scores["recall"] == 0.5


def test_nothing_is_answered_when_no_sample_is_asked_for(evaluate):
    assert evaluate("", num_samples=0) == {}


def test_every_picture_leaves_a_row_with_truth_and_prediction(evaluate, tmp_path):
    evaluate(text(*ANSWERS["norm1000"]))
    (row,) = [json.loads(line) for line in (tmp_path / "predictions_now.jsonl").read_text().splitlines()]
    assert row["source"].endswith("val.jsonl:1")
    assert [item["desc"] for item in row["truth"]] == [item["desc"] for item in row["predicted"]]
