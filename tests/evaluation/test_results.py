"""Scores with their intervals, runs side by side, and how they read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from prediction_rows import BOX, LINE, Row, answered, summary, summed_up, unanswered, written
from rich.console import Console

from qvl.errors import ConfigError
from qvl.evaluation import (
    Evaluation,
    Prediction,
    Settings,
    align_pictures,
    check_folder,
    evaluate_predictions,
    open_folder,
    read_predictions,
    show,
)

SETTINGS = Settings(line_tolerance=20.0, num_resamples=200)
GOOD, POOR = [BOX, LINE], [LINE]


def read(folder: Path, name: str, *rows: Row) -> list[Prediction]:
    return read_predictions(written(folder / name, rows))


def run(folder: Path, name: str, share_good: float, count: int = 20) -> list[Prediction]:
    """Return a run that finds both objects in a share of the pictures, and one in the others."""
    num_good = round(share_good * count)
    return read(folder, name, *(answered(f"{n}.png", predicted=GOOD if n < num_good else POOR) for n in range(count)))


def shown(evaluation: Evaluation) -> str:
    console = Console(file=io.StringIO(), width=80)
    show(evaluation, console=console)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_the_interval_of_a_figure_holds_it(tmp_path: Path) -> None:
    found = evaluate_predictions(run(tmp_path, "a", 0.5), settings=SETTINGS)
    low, high = found.intervals["detection/f1_50"]
    assert low < found.scores.as_dict()["detection/f1_50"] < high
    assert (found.other, found.comparisons) == (None, {})


def test_a_real_difference_is_told_from_chance(tmp_path: Path) -> None:
    good, fair, poor = (run(tmp_path, name, share) for name, share in (("a", 1.0), ("b", 0.9), ("c", 0.2)))
    assert "this run is better, +" in shown(evaluate_predictions(good, poor, settings=SETTINGS))
    assert "this run is worse, -" in shown(evaluate_predictions(poor, good, settings=SETTINGS))
    assert "neither run is shown to be better" in shown(evaluate_predictions(good, fair, settings=SETTINGS))
    assert "no picture differs between the two runs" in shown(evaluate_predictions(good, good, settings=SETTINGS))


def test_everything_can_be_written_as_json_under_stable_names(tmp_path: Path) -> None:
    found = evaluate_predictions(run(tmp_path, "a", 1.0), run(tmp_path, "b", 0.2), settings=SETTINGS)
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["figures"]["detection/recall_50"] == 1.0
    assert told["counts"]["objects_annotated"] == 40
    assert told["categories"]["detection"]["screw"]["num_truth"] == 20
    assert told["against"]["figures"]["detection/recall_50"] == pytest.approx(0.6)
    assert told["comparison"]["detection/recall_50"]["difference"] == pytest.approx(0.4)
    assert told["settings"]["level"] == 0.95


def test_the_worst_category_and_every_failure_is_shown(tmp_path: Path) -> None:
    rows = [answered("a.png", predicted=[LINE]), unanswered("b.png"), summed_up("c.png", truth=summary(a=1), said="?")]
    text = shown(evaluate_predictions(read(tmp_path, "a", *rows), settings=SETTINGS))
    assert text.index("screw 0.000") < text.index("cable")
    assert "1 pictures were not answered" in text
    assert "answers with not_answered 50.0%" in text
    assert "summaries that cannot be read 100.0%" in text


def test_text_of_a_model_is_no_markup_and_steers_no_terminal(tmp_path: Path) -> None:
    rows = [answered(predicted=[{**BOX, "desc": "type=[red]\x1b[2J"}])]
    text = shown(evaluate_predictions(read(tmp_path, "a", *rows), settings=SETTINGS))
    assert "[red]\N{REPLACEMENT CHARACTER}[2J" in text


def test_rows_of_two_runs_come_together_by_their_picture(tmp_path: Path) -> None:
    one = read(tmp_path, "a", answered("a.png"), answered("b.png"))
    two = read(tmp_path, "b", answered("b.png", predicted=()), answered("a.png"))
    assert [other.image for other in align_pictures(one, two)] == [row.image for row in one]


def test_runs_over_different_pictures_or_truths_are_refused_with_a_list(tmp_path: Path) -> None:
    one = read(tmp_path, "a", answered("a.png"), answered("b.png"))
    with pytest.raises(ConfigError) as caught:
        align_pictures(one, read(tmp_path, "b", answered("a.png"), answered("c.png")))
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/a:2: /pictures/b.png has no such row in {tmp_path}/b",
        f"{tmp_path}/b:2: /pictures/c.png has no such row in {tmp_path}/a",
    ]
    with pytest.raises(ConfigError, match=r"c:2: its truth is not that of .*a:2"):
        align_pictures(one, read(tmp_path, "c", answered("a.png"), answered("b.png", truth=[BOX, BOX])))


def test_a_folder_is_opened_again_for_the_same_evaluation_only(tmp_path: Path) -> None:
    open_folder(tmp_path / "out", "a.jsonl")
    open_folder(tmp_path / "out", "a.jsonl")
    with pytest.raises(ConfigError, match=r"holds the evaluation of a\.jsonl, not of b\.jsonl"):
        check_folder(tmp_path / "out", "b.jsonl")
    with pytest.raises(ConfigError, match="was not made by an evaluation"):
        check_folder(tmp_path, "a.jsonl")
    with pytest.raises(ConfigError, match="there is no folder"):
        check_folder(tmp_path / "no" / "where", "a.jsonl")
