"""The file that says where a run stands."""

from __future__ import annotations

import json

import pytest
from transformers import TrainerControl, TrainerState

from qvl.callbacks import FIGURES, ProgressFile, progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def state(step: int, *, main: bool = True) -> TrainerState:
    return TrainerState(global_step=step, max_steps=20, is_world_process_zero=main)


def test_the_file_follows_the_run_about_once_a_second(tmp_path, clock):
    path, control = tmp_path / "progress.json", TrainerControl()
    callback = ProgressFile(path)
    callback.on_train_begin(None, state(4), control)
    begun = json.loads(path.read_text())
    assert begun == {
        "step": 4,
        "max_steps": 20,
        "loss": None,
        "steps_per_second": None,
        "eta_seconds": None,
        "gpu_memory_gb": None,
        **dict.fromkeys(FIGURES),
    }
    clock.now += 0.5
    callback.on_step_end(None, state(5), control)
    assert json.loads(path.read_text())["step"] == 4
    callback.on_log(None, state(5), control, logs={"loss": 2.5, "useful_share": 0.75})
    callback.on_log(None, state(5), control, logs={"loss": float("nan")})
    clock.now += 1.5
    callback.on_step_end(None, state(8), control)
    values = json.loads(path.read_text())
    assert values | {"gpu_memory_gb": None} == begun | {
        "step": 8,
        "loss": 2.5,
        "steps_per_second": 2.0,
        "eta_seconds": 6.0,
        "useful_share": 0.75,
    }
    callback.on_step_end(None, state(9), TrainerControl(should_save=True))
    assert json.loads(path.read_text())["step"] == 9
    callback.on_train_end(None, state(20), control)
    assert json.loads(path.read_text())["eta_seconds"] == 0.0
    assert [item.name for item in tmp_path.iterdir()] == ["progress.json"]


def test_other_processes_write_nothing(tmp_path):
    callback = ProgressFile(tmp_path / "progress.json")
    callback.on_train_begin(None, state(0, main=False), TrainerControl())
    callback.on_train_end(None, state(1, main=False), TrainerControl())
    assert not list(tmp_path.iterdir())


def test_an_evaluation_is_no_standstill(tmp_path, clock):
    path, control = tmp_path / "progress.json", TrainerControl()
    callback = ProgressFile(path)
    callback.on_train_begin(None, state(4), control)
    before = path.stat().st_ino  # each write is a new file
    callback.on_prediction_step(None, state(4), control)
    assert path.stat().st_ino == before
    clock.now += 1.5
    callback.on_prediction_step(None, state(4), control)
    assert path.stat().st_ino != before
    assert json.loads(path.read_text())["step"] == 4
