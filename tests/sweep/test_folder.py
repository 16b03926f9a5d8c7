"""Sweep folders are read as far as they can be, and what cannot be read is named."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qvl.errors import RecordError
from qvl.sweep import Job, Point, Sweep, analyze, read_sweep, render_markdown, render_page

Events = Callable[[Path, Mapping[str, list[tuple[int, float]]]], Path]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
STATUS = st.dictionaries(
    st.sampled_from(["state", "overrides", "seconds", "attempt", "cause", "history", "return_value", "started"]), JSON
)


def troubles(sweep: Sweep) -> dict[str, str]:
    return {str(trouble.path): trouble.message for trouble in sweep.troubles}


def only(sweep: Sweep) -> Job:
    (job,) = sweep.jobs
    return job


def report(sweep: Sweep) -> str:
    """Render both forms; they must not fail."""
    analysis = analyze(sweep, metric="detection/f1_50", higher_is_better=True)
    page = render_page(analysis, title="x", facts=[], start=sweep.folder)
    assert render_markdown(analysis, title="x", facts=[])
    return page


def test_a_half_finished_sweep_is_read(realistic_sweep: Any) -> None:
    sweep = read_sweep(realistic_sweep.folder)
    assert [job.name for job in sweep.jobs] == [str(number) for number in range(12)], "10 comes after 9"
    assert troubles(sweep) == {}
    assert sweep.command[-1] == "recipe=stage2_lora"
    done, failed, late, running, waiting = (sweep.jobs[number] for number in (0, 7, 8, 10, 11))
    assert (done.state, done.num_steps, done.before) == (
        "completed",
        40,
        {"detection/f1_50": 0.05, "detection/count_error": 2.5},
    )
    assert done.curves["train/loss"].points[-1].step == 40
    assert done.speed is not None
    assert failed.cause is not None
    assert (failed.cause.rank, failed.cause.exception) == (1, "ValueError: boom")
    assert late.cause is not None
    assert late.cause.rank is None
    assert running.progress is not None
    assert running.progress.share == pytest.approx(0.3)
    assert running.earlier == ("attempt 1: failed: rank 0: OSError",)
    assert (waiting.state, waiting.settings) == ("pending", {})
    assert analyze(sweep, metric="detection/f1_50", higher_is_better=True).keys == (
        "training.learning_rate",
        "augmentation",
        "seed",
    )


def test_runs_that_were_started_by_hand_are_a_sweep(tmp_path: Path, events: Events) -> None:
    for name, rate in (("2026-a", "1e-4"), ("2026-b", "1e-3")):
        (tmp_path / name).mkdir()
        manifest = {"overrides": [f"training.learning_rate={rate}", "run_name=try"]}
        (tmp_path / name / "run_manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        events(tmp_path / name / "tensorboard", {"train/loss": [(1, 0.9), (11, 0.5)]})
    (tmp_path / "2026-a" / "metrics.json").write_text(
        '{"before": {}, "after": {"detection/f1_50": 0.5}}', encoding="utf-8"
    )
    sweep = read_sweep(tmp_path)
    assert [(job.name, job.state) for job in sweep.jobs] == [("2026-a", "finished"), ("2026-b", "unfinished")]
    assert sweep.jobs[0].seconds == pytest.approx(11, abs=2), "from the beginning of the event file"
    assert analyze(sweep, metric="detection/f1_50", higher_is_better=True).keys == ("training.learning_rate",)
    assert only(read_sweep(tmp_path / "2026-a")).after == {"detection/f1_50": 0.5}, "a single run"


@pytest.mark.parametrize("name", ["config.yaml", "job.yaml"])
def test_a_key_that_was_not_given_is_looked_up(tmp_path: Path, fake: Any, name: str) -> None:
    sweep = fake(tmp_path)
    sweep.job("augment_prob=0.5", "tuner=llm_lora")
    config = {"augment_prob": 0.0, "tuner": {"lora_rank": 8}}
    text = yaml.safe_dump(config if name == "config.yaml" else {"task": "x:y", "job": config})
    (sweep.job() / name).write_text(text, encoding="utf-8")
    first, second = read_sweep(tmp_path).jobs
    assert first.settings == {"augment_prob": "0.5", "tuner": "llm_lora"}
    assert second.settings == {"augment_prob": "0.0"}, "a group is not a value"


def test_without_overrides_the_configurations_are_compared(tmp_path: Path, fake: Any) -> None:
    sweep = fake(tmp_path)
    for name, rank in (("one", 8), ("two", 16)):
        config = {"tuner": {"lora_rank": rank, "dora": False}, "out": f"/runs/{name}", "sizes": [1, 2], "none": None}
        (sweep.planned(name) / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert [job.settings for job in read_sweep(tmp_path).jobs] == [{"tuner.lora_rank": "8"}, {"tuner.lora_rank": "16"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'{"state": "comp', "is no JSON"),
        (b"[1]", "holds no JSON object, but a list"),
        (b"\xff\xfe", "is not UTF-8 at byte 0"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"seconds": "soon"}', "seconds: expected a number, got a text"),
        (b'{"seconds": 1e999}', "seconds: is not a finite number"),
        (b'{"overrides": {"a": 1}}', "overrides: expected a list of texts, got an object"),
    ],
)
@pytest.mark.parametrize("name", ["status.json", "metrics.json", "progress.json", "error.json", "run_manifest.json"])
def test_an_unreadable_file_is_named_and_the_other_jobs_are_told(
    tmp_path: Path, fake: Any, metrics: Any, name: str, content: bytes, message: str
) -> None:
    sweep = fake(tmp_path)
    metrics(sweep.job("a=1"), 0.5)
    (sweep.job("a=2", state="failed", cause=None, overrides=[]) / name).write_bytes(content)
    found = read_sweep(tmp_path)
    if message.partition(":")[0] in ("seconds", "overrides"):
        assert name != "status.json" or message in troubles(found)[f"1/{name}"]
    else:
        assert troubles(found)[f"1/{name}"].startswith(message)
    assert found.jobs[0].after["detection/f1_50"] == 0.5
    if found.troubles:
        assert "1 file could not be used" in report(found)


def test_unreadable_sweep_and_config_files_are_named(tmp_path: Path, fake: Any) -> None:
    sweep = fake(tmp_path)
    (sweep.job("a=1") / "config.yaml").write_text("a: [", encoding="utf-8")
    (sweep.job("b=1") / "config.yaml").write_text("- 1", encoding="utf-8")
    (tmp_path / "sweep.json").write_text("{", encoding="utf-8")
    found = read_sweep(tmp_path)
    assert [job.state for job in found.jobs] == ["completed", "completed"]
    assert set(troubles(found)) == {"0/config.yaml", "1/config.yaml", "sweep.json"}


@pytest.mark.parametrize(
    "entry", [{"folder": "../other"}, {"folder": "/etc"}, {"folder": ""}, {"folder": ".."}, {"folder": 3}, "0", None]
)
def test_jobs_outside_the_sweep_are_not_read(tmp_path: Path, entry: object) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"jobs": [entry]}), encoding="utf-8")
    sweep = read_sweep(tmp_path)
    assert sweep.jobs == ()
    assert "jobs: expected a list" in sweep.troubles[0].message
    report(sweep)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STATUS, JSON)
def test_any_json_makes_a_report(tmp_path: Path, status: object, metrics: object) -> None:
    job = tmp_path / "0"
    job.mkdir(exist_ok=True)
    (job / "status.json").write_text(json.dumps(status), encoding="utf-8")
    for name in ("metrics.json", "progress.json", "error.json"):
        (job / name).write_text(json.dumps(metrics), encoding="utf-8")
    report(read_sweep(tmp_path))


def test_a_resumed_run_has_each_step_once_and_its_later_value(tmp_path: Path, fake: Any, events: Events) -> None:
    job = fake(tmp_path).job()
    events(job / "tensorboard", {"train/loss": [(1, 0.9), (2, 0.8), (3, 0.7)]})
    events(job / "tensorboard", {"train/loss": [(3, 0.6), (4, float("nan"))]})
    curve = only(read_sweep(tmp_path)).curves["train/loss"]
    assert [point.step for point in curve.points] == [1, 2, 3]
    assert curve.points[-1] == Point(3, pytest.approx(0.6))
    assert curve.num_lost == 1
    assert "not finite were logged by: 0" in report(read_sweep(tmp_path))


@pytest.mark.parametrize("state", ["running", "completed"])
def test_an_event_file_that_is_cut_off_gives_what_it_has(tmp_path: Path, fake: Any, events: Events, state: str) -> None:
    path = events(fake(tmp_path).job(state=state) / "tensorboard", {"train/loss": [(1, 0.9), (2, 0.8)]})
    os.truncate(path, path.stat().st_size - 5)
    sweep = read_sweep(tmp_path)
    assert [point.step for point in only(sweep).curves["train/loss"].points] == [1]
    assert len(sweep.troubles) == (state == "completed"), "of a running job that is no fault"


@pytest.mark.parametrize("content", [b"hello" * 50, struct.pack("<Q", 2**63) + b"x" * 90])
def test_an_event_file_of_something_else_is_named(tmp_path: Path, fake: Any, content: bytes) -> None:
    folder = fake(tmp_path).job() / "tensorboard"
    folder.mkdir()
    (folder / "events.out.tfevents.1.x").write_bytes(content)
    assert "cut off or damaged after byte 0" in read_sweep(tmp_path).troubles[0].message


def test_the_cause_is_put_together_from_what_is_there(tmp_path: Path, fake: Any) -> None:
    sweep = fake(tmp_path)
    extra = {"rank": "0", "py_callstack": "File a.py"}
    error = json.dumps({"message": {"message": "OSError: gone", "extraInfo": extra}})
    told = sweep.job(state="failed", cause={"rank": 0, "exception": "OSError: gone", "last_lines": []})
    other = sweep.job(state="failed", cause={"rank": 1, "exception": "killed by SIGKILL", "last_lines": ["bye"]})
    untold = sweep.job(state="failed", cause=None)
    silent = sweep.job(state="failed", cause=None, exit_code=-9)
    for folder in (told, other, untold):
        (folder / "error.json").write_text(error, encoding="utf-8")
    (told / "launcher.log").write_text("1%\r50%\r99%\nthe end\n", encoding="utf-8")
    causes = [job.cause for job in read_sweep(tmp_path).jobs]
    assert [(cause.rank, cause.exception, cause.last_lines, cause.callstack) for cause in causes if cause] == [
        (0, "OSError: gone", ("99%", "the end"), "File a.py"),
        (1, "killed by SIGKILL", ("bye",), ""),  # the error file is of another rank
        (0, "OSError: gone", (), "File a.py"),
        (None, "no cause was written down; exit code -9", (), ""),
    ]
    assert silent.is_dir()


def test_secrets_do_not_reach_the_report(tmp_path: Path, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "tok-123456")
    sweep = fake(tmp_path)
    sweep.job("hub_token=abcdef", "a=1")
    lines = {"rank": 0, "exception": "ValueError: tok-123456", "last_lines": ["password=hunter22"]}
    sweep.job("hub_token=ghijkl", "a=tok-123456", state="failed", cause=lines)
    page = report(read_sweep(tmp_path))
    assert not any(secret in page for secret in ("abcdef", "ghijkl", "tok-123456", "hunter22"))
    assert "&lt;redacted&gt;" in page


def test_a_folder_that_is_no_sweep_is_told_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no such folder"):
        read_sweep(tmp_path / "gone")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RecordError, match="is a file, not a folder"):
        read_sweep(tmp_path / "file")
    with pytest.raises(
        RecordError, match=r"is no sweep: there is no sweep\.json in it, and no folder with one of status"
    ):
        read_sweep(tmp_path)
    (tmp_path / "demo" / "0").mkdir(parents=True)
    (tmp_path / "demo" / "0" / "metrics.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RecordError, match="these folders below it are: demo"):
        read_sweep(tmp_path)
