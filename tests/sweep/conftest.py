"""Sweep folders as the launcher and the training leave them, with real event files."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

CAUSE = {"rank": 1, "exception": "ValueError: boom", "last_lines": ["step 3", "Traceback", "ValueError: boom"]}


class FakeSweep:
    """Writes a sweep folder, job by job."""

    def __init__(self, folder: Path, *, state: str = "completed") -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = state
        self.jobs: list[dict[str, object]] = []

    def job(self, *overrides: str, state: str = "completed", **status: object) -> Path:
        """Add a job with a status and return its folder."""
        folder = self.planned()
        facts: dict[str, object] = {
            "job": len(self.jobs) - 1,
            "fingerprint": "0" * 64,
            "state": state,
            "overrides": list(overrides),
            "devices": [],
            "processes": 1,
            "attempt": 1,
            "started": "2026-01-31T11:00:00+00:00",
            "ended": None if state == "running" else "2026-01-31T11:05:00+00:00",
            "seconds": None if state == "running" else 300.0,
            "exit_code": 1 if state == "failed" else None,
            "cause": CAUSE if state == "failed" else None,
            "return_value": None,
        }
        write_json(folder / "status.json", {**facts, **status})
        return folder

    def planned(self, name: str | None = None) -> Path:
        """Add a job that has not started."""
        name = name or str(len(self.jobs))
        self.jobs.append({"job": len(self.jobs), "folder": name})
        (self.folder / name).mkdir(exist_ok=True)
        self.write()
        return self.folder / name

    def write(self) -> None:
        """Write sweep.json."""
        head = {"version": 1, "command": ["python", "-m", "qvl.train", "recipe=stage2_lora"]}
        times = {"started": "2026-01-31T11:00:00+00:00", "ended": None, "state": self.state}
        write_json(self.folder / "sweep.json", {**head, **times, "jobs": self.jobs})


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_metrics(folder: Path, f1: float, *, before: float = 0.05, **more: float) -> None:
    after = {"detection/f1_50": f1, "loss": 1 - f1, "detection/precision_50": f1, "detection/count_error": 0.9, **more}
    before_it = {"detection/f1_50": before, "detection/count_error": 2.5}
    write_json(folder / "metrics.json", {"before": before_it, "after": after, "global_step": 40})


def write_events(folder: Path, scalars: Mapping[str, Sequence[tuple[int, float]]]) -> Path:
    """Write one event file and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    old = set(folder.iterdir())
    writer = EventFileWriter(str(folder), filename_suffix=f".{len(old)}")
    for tag, points in scalars.items():
        for step, value in points:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(wall_time=time.time() + step, step=step, summary=summary))
    writer.close()
    (path,) = set(folder.iterdir()) - old
    return path


def loss_curve(end: float, *, num_steps: int = 40, seed: int = 0) -> list[tuple[int, float]]:
    rng = random.Random(seed)
    return [(step, end + (1 - end) * 0.92**step + rng.uniform(0, 0.03)) for step in range(1, num_steps + 1)]


@pytest.fixture
def fake() -> type[FakeSweep]:
    return FakeSweep


@pytest.fixture
def metrics() -> Callable[..., None]:
    return write_metrics


@pytest.fixture
def events() -> Callable[..., Path]:
    return write_events


def realistic(folder: Path) -> FakeSweep:
    """A half-finished sweep over a number, a word and the seed, with every kind of job."""
    sweep = FakeSweep(folder, state="running")
    rng = random.Random(3)
    for rate in ("1e-5", "1e-4", "1e-3"):
        for augmentation in ("none", "full"):
            for seed in (1, 2):
                given = (f"training.learning_rate={rate}", f"augmentation={augmentation}", f"seed={seed}")
                number = len(sweep.jobs)
                if number == 7:
                    job = sweep.job(*given, state="failed")
                    write_events(job / "tensorboard", {"train/loss": loss_curve(0.5, num_steps=9)})
                elif number == 8:
                    job = sweep.job(*given, state="timed_out", cause={"rank": None, "exception": "no end after 5 min"})
                elif number == 10:
                    job = sweep.job(
                        *given,
                        state="running",
                        attempt=2,
                        history=[{"attempt": 1, "state": "failed", "cause": "rank 0: OSError"}],
                    )
                    progress: Mapping[str, Any] = {"step": 12, "max_steps": 40, "loss": 0.61, "steps_per_second": 0.27}
                    write_json(job / "progress.json", {**progress, "eta_seconds": 103.7, "gpu_memory_gb": 12.31})
                    write_events(job / "tensorboard", {"train/loss": loss_curve(0.45, num_steps=12)})
                elif number == 11:
                    sweep.planned()
                else:
                    job = sweep.job(*given, seconds=rng.uniform(200, 4000))
                    base = {"1e-5": 0.31, "1e-4": 0.52, "1e-3": 0.44}[rate] + 0.06 * (augmentation == "full")
                    write_metrics(job, base + rng.uniform(-0.02, 0.02))
                    curves = {
                        "train/loss": loss_curve(1 - base, seed=number),
                        "eval/loss": [(20, 1.1 - base), (40, 1.02 - base)],
                    }
                    curves["train/train_steps_per_second"] = [(40, rng.uniform(0.2, 3))]
                    curves["train/grad_norm"] = loss_curve(0.2, seed=number)
                    write_events(job / "tensorboard", curves)
                    (job / "launcher.log").write_text("training\n", encoding="utf-8")
                    name = "predictions_after.html" if number % 2 else "predictions_after.jsonl"
                    (job / name).write_text("x\n", encoding="utf-8")
    return sweep


@pytest.fixture
def realistic_sweep(tmp_path: Path) -> FakeSweep:
    return realistic(tmp_path / "stage2_lora" / "2026-01-31_12-00-00-abcd1234")
