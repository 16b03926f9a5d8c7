"""The verb `qvl.evaluate` from the command line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from verbs import run_verb

from qvl import evaluate

ITEM = {"desc": "type=screw,color=red", "bbox_2d": [20, 10, 60, 30]}
SAID = {"desc": "type=screw,color=red", "key": "bbox_2d", "numbers": [100, 100, 300, 300]}


class Done(NamedTuple):
    code: int
    out: str
    err: str


Verb = Callable[..., Done]


@pytest.fixture
def log() -> Iterator[None]:
    """Give the log back to the other tests."""
    root, ours = logging.getLogger(), logging.getLogger("qvl")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def verb(log: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verb:
    """Run the verb in this process, in a folder with answers of two runs to the rows of val.jsonl."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    rows = [{"images": [f"{number}.png"], "width": 200, "height": 100, "objects": [ITEM]} for number in range(3)]
    write("val.jsonl", rows)
    write("good.jsonl", [answer(number, [SAID]) for number in range(3)])
    write("poor.jsonl", [answer(number, [SAID] * (number > 0)) for number in (2, 1, 0)])
    write(
        "bare.jsonl", [{key: value for key, value in answer(number, []).items() if key != "truth"} for number in (0, 1)]
    )
    for number in range(2):  # the third picture is not at hand
        Image.new("RGB", (200, 100)).save(f"{number}.png")

    def run(*argv: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["qvl.evaluate", *argv])
        code: Any = 0
        try:
            evaluate.cli()
        except SystemExit as stop:
            code = stop.code
        return Done(code, *capsys.readouterr())

    return run


def write(name: str, rows: list[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def answer(number: int, predicted: list[dict[str, Any]]) -> dict[str, Any]:
    row = {"source": f"val.jsonl:{number + 1}", "image": str(Path(f"{number}.png").absolute()), "width": 200}
    row |= {"height": 100, "truth": [SAID], "predicted": predicted, "faults": [], "completion": "{}"}
    return {**row, "finish_reason": "stop", "error": None}


def test_predictions_are_scored_without_a_trace(verb: Verb, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    done = verb("predictions=good.jsonl")
    assert (done.code, done.err) == (0, "")
    assert "3 pictures; 3 objects annotated, 3 predicted, 3 matched" in done.out
    assert "out=FOLDER writes all figures" in done.out
    assert sorted(tmp_path.iterdir()) == before


def test_two_runs_are_compared_and_written(verb: Verb) -> None:
    done = verb("predictions=good.jsonl", "against=poor.jsonl", "truth=val.jsonl", "out=compared")
    assert done.code == 0, done.err
    assert "neither run is shown to be better" in done.out
    assert "2.png" in done.out  # a picture that is not there is told, and ends nothing
    told = json.loads(Path("compared/metrics.json").read_text(encoding="utf-8"))
    assert told["comparison"]["detection/f1_50"]["num_better"] == 1
    assert len(told["files"]["truth"]["sha256"]) == 64
    page = Path("compared/report.html").read_text(encoding="utf-8")
    assert "95% interval" in page and "other: poor.jsonl" in page
    assert verb("predictions=good.jsonl", "out=compared").code == 0  # what it has made it may write anew
    assert "comparison" not in json.loads(Path("compared/metrics.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "there is nothing to score; give predictions=FILE, or model, pictures and out"),
        (("model=qvl://tiny",), "pictures: asking a model takes model, pictures and out; pictures, out is missing"),
        (("predictions=good.jsonl", "mode=dense"), "predictions: mode is for asking a model"),
        (("predictions=bare.jsonl",), "bare.jsonl: 2 of 2 pictures have no truth (lines 1, 2)"),
        (
            ("predictions=bare.jsonl", "truth=val.jsonl"),
            "val.jsonl:3: {}/2.png is not among the predictions of bare.jsonl",
        ),
        (("predictions=good.jsonl", "against=bare.jsonl"), "bare.jsonl: 2 of 2 pictures have no truth"),
        (("predictions=good.jsonl", "out=."), "out: . is not empty and was not made by an evaluation"),
        (("predictions=good.jsonl", "out=no/where"), "out: no/where: there is no folder no"),
        (("predictions=good.jsonl", "out=val.jsonl"), "out: val.jsonl is a file"),
        (
            ("predictions=good.jsonl", "average_precision=[lines]"),
            "average_precision: 'lines' is not one of boxes, masks",
        ),
        (("predictions=good.jsonl", "level=95"), "level: 95.0 is out of range, it has to be from 0.5 to 0.9999"),
        (("prediction=good.jsonl",), "there is no key prediction; did you mean predictions?"),
        (
            ("model=qvl://tiny", "pictures=plain.jsonl", "out=x"),
            "plain.jsonl:1: the row has no objects to compare with",
        ),
    ],
)
def test_a_mistake_is_told_and_leaves_nothing(verb: Verb, tmp_path: Path, argv: tuple[str, ...], message: str) -> None:
    write("plain.jsonl", [{"images": ["0.png"]}])
    before = sorted(tmp_path.iterdir())
    done = verb(*argv)
    assert (done.code, message.format(tmp_path) in done.err) == (2, True), done.err
    assert "Traceback" not in done.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_file_is_an_error(verb: Verb) -> None:
    done = verb("predictions=gone.jsonl")
    assert (done.code, "gone.jsonl: there is no such file" in done.err) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["dense", "summary"])
def test_a_model_is_asked_and_its_answers_are_kept(verb: Verb, mode: str) -> None:
    row = {"width": 200, "height": 100, "objects": [ITEM], "summary": '{"统计": [{"类别": "screw"}]}'}
    write("val.jsonl", [{**row, "images": [f"{number}.png"]} for number in range(2)])
    asked = ["prompts=summary", "mode=summary"] if mode == "summary" else []
    command = ("model=qvl://tiny", "pictures=val.jsonl", "out=asked", "max_new_tokens=8", *asked)
    first = verb(*command)
    assert first.code == 0, first.err
    assert "2 records of 2 pictures" in first.out
    assert ("summaries: F1" if mode == "summary" else "F1@0.5") in first.out
    answers = Path("asked/predictions.jsonl").read_bytes()
    again = verb(*command)
    assert "0 records of 0 pictures (2 were there already)" in again.out
    assert (again.code, Path("asked/predictions.jsonl").read_bytes()) == (0, answers)
    other = verb(*command[:3], "max_new_tokens=9", *asked)
    assert (other.code, "max_new_tokens was 8 and is 9" in other.err) == (2, True)
    refused = verb("predictions=good.jsonl", "out=asked")
    assert (refused.code, "holds the evaluation of qvl://tiny" in refused.err) == (2, True)


def test_showing_the_configuration_needs_no_heavy_library(tmp_path: Path) -> None:
    done = run_verb("evaluate", "--cfg", "job", "predictions=x.jsonl", cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert "predictions: x.jsonl" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "PIL", "PIL.Image", "shapely", "numpy", "transformers"})
