"""What `debug=plan` counts and prints, and that it loads no weights and keeps nothing."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from qvl import train
from qvl.errors import ConfigError, HealthError
from qvl.planning import Batch
from qvl.training.load_plan import EstimatingEncoder, LoadPlan, plan_load, sampled_lengths
from qvl.training.model_plan import load_config, plan_model
from qvl.training.run_plan import Device, RunPlan, find_device
from qvl.training.sampling import Machine, TurnBatches
from qvl.training.sharding import zero_stage

pytestmark = pytest.mark.swift

ALIGNER = ["model.visual.merger", *(f"model.visual.deepstack_merger_list.{number}" for number in range(3))]
ADAPTERS = {"2B": (8.7, 236), "4B": (16.5, 284), "8B": (21.8, 408), "32B": (67.1, 627), "30B-A3B": (6.7, 272)}
"""Millions of weights in adapters of rank 8, and megabytes of the file of stage 2, as PEFT made them of each size."""
REAL_TOKENS = {
    "BBU device, brand Huawei, label is readable, cable loops are bound neatly, screw is not tightened. ": 67 / 3,
    "BBU设备/华为,显示完整,机柜空间充足;光纤/有保护措施,弯曲半径合理;螺丝、光纤插头/符合要求,连接正确": 36,
    '{"object_1": {"bbox_2d": [123, 456, 789, 900], "desc": ""}, '
    '"object_2": {"poly": [12, 34, 560, 78, 900, 1000, 3, 44]}}': 80,
}
"""Texts and how many tokens Qwen's own tokenizer makes of them."""


def tuner(**changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "tuner_type": "lora",
        "freeze_llm": False,
        "freeze_vit": True,
        "freeze_aligner": True,
        "target_modules": ["all-linear"],
        "modules_to_save": ALIGNER,
        "use_dora": False,
        "lora_rank": 8,
        "lora_dropout": 0.1,
    }
    return values | changes


def published(size: str, **changes: object):
    return plan_model(load_config(f"Qwen/Qwen3-VL-{size}-Instruct"), tuner(**changes))


@pytest.mark.parametrize("size", ADAPTERS)
def test_stage_2_of_a_published_size_trains_and_saves_what_peft_makes(size):
    model = published(size)
    adapters, megabytes = ADAPTERS[size]
    assert round(model.trained_by_part["adapters"] / 1e6, 1) == adapters
    assert round(model.weight_file_bytes("bfloat16", part_of=None) / 1e6) == megabytes
    assert model.trained_by_part["aligner"] == model.architecture.parts["aligner"]
    assert model.weights.frozen == model.architecture.parameters


def test_full_tuning_has_no_frozen_weights_and_stage_1_all_but_the_aligner():
    everything = published("4B", tuner_type="full", freeze_vit=False, freeze_aligner=False)
    assert everything.weights.frozen == 0
    assert everything.weights.trained == everything.architecture.parameters
    first = published("4B", tuner_type="full", freeze_llm=True, freeze_aligner=False)
    assert first.trained_by_part == {"aligner": 109_105_152}
    assert (first.tuning(checkpointing=False).llm, everything.tuning(checkpointing=False).vit) == ("frozen", "full")


def test_a_tuner_that_a_run_would_refuse_is_refused():
    with pytest.raises(HealthError, match=r"no module 'model\.visual\.mergr'"):
        published("2B", modules_to_save=["model.visual.mergr"])


def test_a_folder_without_a_config_and_an_unknown_model_are_told(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        load_config(str(tmp_path))

    def unreachable(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(ConfigError, match=r"name a folder that holds its config\.json, or a published size"):
        load_config("someone/else")


def test_tokens_are_estimated_where_the_tokenizer_is_out_of_reach(encoder):
    guess = EstimatingEncoder(encoder.template, encoder.form)
    for text, real in REAL_TOKENS.items():
        assert guess.text_tokens(text) == pytest.approx(real, rel=0.12), text


def test_a_long_file_is_measured_at_even_distances(turns, encoder, monkeypatch):
    whole, count = sampled_lengths(turns, encoder)
    assert count == len(turns.parts[0].rows) == 9
    monkeypatch.setattr("qvl.training.load_plan._MEASURED", 3)
    some, count = sampled_lengths(turns, encoder)
    assert count == 3
    assert len(some.parts[0].text) == 9
    assert [some.parts[0].text[row] for row in (0, 4, 8)] == [whole.parts[0].text[row] for row in (0, 4, 8)]
    assert some.parts[0].overhead == whole.parts[0].overhead


def load(turns: int, tokens: int) -> LoadPlan:
    """Four micro steps of two processes, all alike."""
    work = [turns * tokens, turns * tokens**2, turns * tokens // 2, turns * tokens, turns * tokens**2 // 4]
    return LoadPlan(8, 8, 4, 1.0, 8 * tokens, tokens, np.tile(np.array(work, dtype=float), (4, 2, 1)), Batch(*work))


def run_plan(
    size: str, *, zero: int = 0, gradient_checkpointing: bool | None = True, gigabytes: float = 80.0
) -> RunPlan:
    config = {
        "model": {"torch_dtype": "bfloat16", "attn_impl": "sdpa"},
        "training": {"bf16": None, "gradient_checkpointing": gradient_checkpointing, "per_device_train_batch_size": 1},
        "tuner": tuner(),
        "data": {"batching": "random"},
        "deepspeed": {"config": {"zero_optimization": {"stage": zero}} if zero else None},
    }
    return RunPlan(config, published(size), load(1, 2500), Device("A100", 8, gigabytes * 1e9, 312.0, 0.4), "folder")


def test_what_a_run_computes_is_that_of_its_batches(turns, encoder):
    lengths, _ = sampled_lengths(turns, encoder)
    machine = Machine(batch_size=2, accumulation=2, world_size=2)
    batches = TurnBatches(turns, lengths, machine=machine, batching="random", limit=10_000, epochs=3)
    plan = plan_load(batches)
    assert (plan.turns, plan.steps_per_epoch, plan.steps) == (5, 1, 3)
    assert plan.work.shape == (2, 2, 5)
    dealt = batches.plan(0).turns[0, 0]
    long = [lengths.unchanged(turns.plan(0).ticket(turn)) for turn in dealt if turn >= 0]
    assert plan.work[0, 0, 0] == len(long) * max(long)
    assert plan.work[0, 0, 1] == len(long) * max(long) ** 2
    most = [plan.largest.tokens, plan.largest.token_pairs, plan.largest.labelled, plan.largest.patches]
    assert (plan.work.max(axis=(0, 1))[:4] <= most).all()
    assert plan.largest.tokens == 2 * plan.longest


def test_the_advice_is_what_has_to_be_changed():
    assert "training.gradient_checkpointing=false fits too" in run_plan("4B").advice
    assert run_plan("4B", gradient_checkpointing=False).advice == "fits as it stands"
    assert run_plan("4B", gradient_checkpointing=False, gigabytes=24).advice == (
        "does not fit; training.gradient_checkpointing=true makes it fit"
    )
    assert "deepspeed=zero3" in run_plan("32B", gigabytes=40).advice
    assert not run_plan("4B").needs_checkpointing
    assert run_plan("32B").needs_checkpointing
    assert not run_plan("4B", gradient_checkpointing=None).checkpointing
    assert run_plan("32B", gradient_checkpointing=None).checkpointing
    tight = run_plan(
        "4B", gradient_checkpointing=None, gigabytes=1.1 * run_plan("4B").memory(checkpointing=False).needed / 1e9
    )
    assert tight.checkpointing and tight.spare(checkpointing=False) > 0
    assert "take more devices or a smaller model" in run_plan("32B", zero=3, gigabytes=4).advice


def test_hours_follow_from_operations_and_checkpointing_costs_a_third():
    plan = run_plan("4B")
    done = plan.step_flops(checkpointing=False) * plan.load.steps
    assert plan.hours(checkpointing=False) == pytest.approx(done / (8 * 312e12 * 0.4) / 3600)
    assert 1.3 < plan.hours(checkpointing=True) / plan.hours(checkpointing=False) < 1.5


def test_the_machine_is_one_that_the_batch_divides_by():
    wanted = {"processes": None, "device_gb": None, "tflops": 100.0, "mfu": 0.5}
    assert find_device(wanted | {"device_gb": 40.0}, micro_batches=6).memory == 40e9
    assert find_device(wanted | {"processes": 3}, micro_batches=8).processes == 3
    assert 6 % find_device(wanted, micro_batches=6).processes == 0


def test_the_stage_of_zero_is_read_from_settings_and_from_names():
    assert [zero_stage(config) for config in (None, {"zero_optimization": {"stage": 2}}, "zero3")] == [0, 2, 3]


@pytest.fixture
def typed(monkeypatch, tmp_path, demo_folder):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setenv("COLUMNS", "140")
    common = ["recipe=stage2_lora", "debug=plan", f"data={demo_folder / 'train.jsonl'}"]

    def start(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["qvl-train", *common, *words])
        train.cli()

    return start


def test_the_command_plans_a_published_size_without_weights_tokenizer_and_run_folder(
    typed, tmp_path, capsys, monkeypatch
):
    from qvl.training import planner

    def only_local(path: str, **kwargs: object) -> object:
        if not path.startswith("/"):
            raise FileNotFoundError(path)
        return load_encoder(path, **kwargs)

    load_encoder = planner.load_encoder
    monkeypatch.setattr(planner, "load_encoder", only_local)
    monkeypatch.setattr("safetensors.safe_open", None)  # whoever opens weights fails
    typed("model=qwen3_vl_4b", "plan.processes=4", "plan.device_gb=40")
    text = capsys.readouterr().out
    for piece in (
        "4.44 B in bfloat16",
        "adapters 16.52 M, aligner 109.11 M",
        "adapter 284.3 MB",
        "5 turns an epoch",
        "fits into 40.0 GB",
        "the tokenizer of Qwen/Qwen3-VL-4B-Instruct cannot be had",
        "activations kept (as set)",
        "fits as it stands",
    ):
        assert piece in text
    assert {path.name for path in (tmp_path / "multirun_outputs").iterdir()} <= {"cache", "data"}


def test_processes_that_do_not_divide_the_batch_are_told(typed, capsys):
    with pytest.raises(SystemExit) as stop:
        typed("plan.processes=3")
    assert stop.value.code == 2
    assert "not a multiple of per_device_train_batch_size=2 x 3 processes" in capsys.readouterr().err


def test_a_row_that_cannot_be_used_is_told(typed, tmp_path, capsys):
    (tmp_path / "bad.jsonl").write_text('{"images": ["a.jpg"], "objects": "none"}\n')
    with pytest.raises(SystemExit):
        typed(f"data.train.path={tmp_path / 'bad.jsonl'}")
    assert "bad.jsonl:1" in capsys.readouterr().err


def test_a_sweep_has_nothing_to_plan():
    with pytest.raises(ConfigError, match=r"plan\.show: plans one configuration"):
        train.main(SimpleNamespace(show_prompt=None, plan=SimpleNamespace(show=True)))
