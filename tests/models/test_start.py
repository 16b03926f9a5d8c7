from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from qvl.errors import CheckpointError, ConfigError
from qvl.models import Start, find_start
from qvl.runtime.part import write_part

TINY = Path(__file__).parents[2] / "qvl/models/tiny_checkpoint"

start = partial(find_start, run_folder=Path(), prompts=(), seed=0)


def test_whole_models_are_started_from_as_they_are(tmp_path):
    assert start("Qwen/Qwen3-VL-4B") == Start("Qwen/Qwen3-VL-4B", None, "Qwen/Qwen3-VL-4B")
    assert start("qvl://tiny") == Start(str(TINY), None, "qvl://tiny")
    folder = shutil.copytree(TINY, tmp_path / "model")
    assert start(str(folder)) == Start(str(folder), None, str(folder))


@pytest.mark.parametrize("name", ["", "checkpoint-1"])
def test_a_part_is_started_from_on_its_base_and_a_run_by_its_best_checkpoint(part_run, name):
    assert start(str(part_run / name)) == Start(str(TINY), part_run / "checkpoint-1", "qvl://tiny")


def test_a_part_is_verified(part_run, tmp_path):
    damaged = shutil.copytree(part_run / "checkpoint-1", tmp_path / "checkpoint-1")
    write_part(damaged, {}, base=str(TINY))
    with pytest.raises(CheckpointError, match="this checkpoint is damaged"):
        start(str(damaged))


def test_a_part_without_its_base_says_how_to_go_on(make_part, tmp_path, make_contract):
    base = shutil.copytree(TINY, tmp_path / "base")
    make_part(tmp_path / "run/checkpoint-1", base=base, contract=make_contract(base_model=str(base)))
    shutil.rmtree(base)
    with pytest.raises(CheckpointError, match=r"not at hand(?s:.*)qvl.export checkpoint=.*checkpoint-1 base=... out="):
        start(str(tmp_path / "run"))


def test_an_adapter_is_refused(adapter_run):
    with pytest.raises(ConfigError, match=r"is an adapter; make a whole model of it by .*merge=true"):
        start(str(adapter_run / "checkpoint-1"))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is no checkpoint, and no run with one"):
        start(str(tmp_path))
