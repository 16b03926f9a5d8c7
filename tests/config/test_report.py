"""The verb `qvl.report` from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from verbs import run_verb

shell = partial(run_verb, "report")


def sweep(folder: Path) -> Path:
    for number, score in enumerate((0.25, 0.75)):
        job = folder / str(number)
        job.mkdir(parents=True)
        facts = {"job": number, "state": "completed", "overrides": [f"augment_prob=0.{number}"], "seconds": 90}
        (job / "status.json").write_text(json.dumps(facts), encoding="utf-8")
        (job / "metrics.json").write_text(
            json.dumps({"after": {"detection/f1_50": score, "loss": score}}), encoding="utf-8"
        )
    facts = {"state": "completed", "jobs": [{"job": 0, "folder": "0"}, {"job": 1, "folder": "1"}]}
    (folder / "sweep.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_page_and_markdown_are_written_and_the_table_is_printed(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "运行 1")
    done = shell(f"sweep='{folder}'", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 ★" in done.stdout
    assert "highest detection/f1_50: 0.7500 by job 1 (augment_prob=0.1)" in done.stdout
    assert str(folder / "report.html") in done.stdout
    assert "+0.5000, better in 1 of 1 pairs" in (folder / "report.md").read_text(encoding="utf-8")
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "report.html", "report.md", "sweep.json"]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name], "no folder of Hydra is left behind"


def test_another_place_and_metric_whose_direction_follows_from_its_name(tmp_path: Path) -> None:
    sweep(tmp_path / "s")
    done = shell("sweep=s", "metric=loss", "out=loss.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lowest loss: 0.2500 by job 0" in done.stdout
    assert 'href="s/0"' in (tmp_path / "loss.html").read_text(encoding="utf-8")
    assert "0 ★" in (tmp_path / "loss.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "sweep: has no value (folder of a sweep, or of runs that were started one by one)"),
        (["sweep=gone"], 1, "error: gone: there is no such folder"),
        (["sweep=empty"], 1, "error: empty: is no sweep: there is no sweep.json in it"),
        (["sweep=s", "better=up"], 2, "better: 'up' is not one of higher, lower"),
        (["sweep=s", "metric=detection/count_bias"], 2, "metric: detection/count_bias is best at 0"),
        (["sweep=s", "metrik=f1"], 2, "there is no key metrik; did you mean metric?"),
        (["sweep=s", "out=page.txt"], 2, "out: page.txt has to end in .html"),
        (["sweep=s", "out=gone/a.html"], 2, "out: gone/a.html: there is no folder gone"),
        (["sweep=s", "out=folder.html"], 1, "out: folder.html cannot be written"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(
    here, tmp_path: Path, argv: list[str], code: int, message: str
) -> None:
    sweep(tmp_path / "s")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.html").mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = here("report", *argv, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_neither_the_configuration_nor_the_report_needs_torch(tmp_path: Path) -> None:
    sweep(tmp_path / "s")
    for argv, unneeded in ((["--cfg", "job"], {"torch", "tensorboard", "qvl.sweep"}), (["sweep=s"], {"torch"})):
        done = shell(*argv, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
        assert done.returncode == 0, done.stderr
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "qvl.schema" in imported
        assert imported.isdisjoint(unneeded)
