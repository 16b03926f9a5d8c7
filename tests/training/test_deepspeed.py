"""Whole runs with DeepSpeed: two processes on CPUs that share the optimiser, or the weights too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("deepspeed")
pytestmark = [pytest.mark.slow, pytest.mark.swift]
TINY = Path(__file__).parents[2] / "qvl/models/tiny_checkpoint"
ADAPTER = "adapter_model.safetensors"
MIX = """
defaults: [fusion, _self_]
train:
  shuffle: false
  sources:
    pictures: {{_target_: qvl.data.RowSource, path: {data}/train.jsonl, images_per_user_turn: 1}}
    chat:
      _target_: qvl.data.RowSource
      path: {chat}
      images_per_user_turn: 1
      builder: {{_target_: qvl.conversation.ChatBuilder}}
val:
  limit: 2
  sources:
    pictures: {{_target_: qvl.data.RowSource, path: {data}/val.jsonl, images_per_user_turn: 1}}
"""


@pytest.fixture(scope="module")
def train(forked, tmp_path_factory, demo_folder):
    """Runs a recipe with a model in bfloat16 and returns its folder."""
    configs = tmp_path_factory.mktemp("sharded")
    said = {"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]}
    (configs / "chat.jsonl").write_text(f"{json.dumps(said)}\n" * 3)
    (configs / "data").mkdir()
    (configs / "data" / "mix.yaml").write_text(MIX.format(data=demo_folder, chat=configs / "chat.jsonl"))

    def train(recipe: str, out: Path, *overrides: str, ranks: int = 2) -> Path:
        words = [
            f"--config-dir={configs}",
            f"recipe={recipe}",
            "debug=fast",
            f"hydra.run.dir={out}",
            "model.torch_dtype=bfloat16",
            "training.per_device_train_batch_size=1",
            "training.effective_batch_size=4",
            "training.eval_strategy='no'",
            "training.save_total_limit=null",
            "training.max_grad_norm=1e9",
            "evaluation.before_training=false",
            "evaluation.num_samples=0",
            "health.ranks_every_n=1",
            *overrides,
        ]
        done = forked("qvl.train", *words, cwd=configs, ranks=ranks)
        assert done.codes == [0] * ranks, done.output[-5000:]
        return out

    return train


ALONE = ("data.train.limit=8", "data.val.limit=2")
SAVING = ("data=mix", "data.train.limit=null", "training.max_steps=3", "training.save_steps=1")
ANSWERS = ("evaluation.every_steps=2", "evaluation.num_samples=1", "evaluation.max_new_tokens=3")


@pytest.fixture(scope="module", params=["zero2", "zero3"])
def adapter_run(request, train, tmp_path_factory):
    """Three steps of stage 2, with chat in between; nine turns with pictures and three without."""
    out = tmp_path_factory.mktemp(request.param) / "run"
    return request.param, train("stage2_lora", out, f"deepspeed={request.param}", *SAVING, *ANSWERS)


def masters(checkpoint: Path) -> list[dict]:
    """Return what DeepSpeed has written of the weights that the optimiser changes, of each process."""
    import torch

    files = sorted(checkpoint.glob("global_step*/*optim_states.pt"))
    assert len(files) == 2
    states = [torch.load(file, weights_only=False)["optimizer_state_dict"] for file in files]
    return [
        {
            "weights": state.get("single_partition_of_fp32_groups") or state["fp32_flat_groups"],
            "state": (state.get("base_optimizer_state") or state["optimizer_state_dict"])["state"],
        }
        for state in states
    ]


def count(file: Path) -> int:
    from safetensors.torch import load_file

    return sum(value.numel() for value in load_file(file).values())


def same(one: Path, two: Path) -> bool:
    from safetensors.torch import load_file

    first, second = load_file(one / ADAPTER), load_file(two / ADAPTER)
    return first.keys() == second.keys() and all((first[key] == second[key]).all() for key in first)


def test_masters_and_their_optimiser_are_float32_and_the_model_is_not(adapter_run):
    import torch
    from safetensors.torch import load_file

    _, out = adapter_run
    for process in masters(out / "checkpoint-3"):
        weights = torch.cat([part.flatten() for part in process["weights"]])
        moments = [process["state"][group][name] for group in process["state"] for name in ("exp_avg", "exp_avg_sq")]
        assert {part.dtype for part in (weights, *moments)} == {torch.float32}
        finer = weights != weights.bfloat16().float()
        assert finer.sum() > 0.9 * (weights != 0).sum()  # digits that bfloat16 does not have
    saved = load_file(out / "checkpoint-3" / ADAPTER)
    assert {value.dtype for value in saved.values()} == {torch.bfloat16}
    told = json.loads((out / "run_manifest.json").read_text())["training"]
    assert told["precision"] == {
        **{"weights": "bfloat16", "trained": "float32", "optimizer": "float32"},
        **{"products": "bfloat16", "saved": "bfloat16"},
    }


def test_a_run_says_how_many_weights_there_are_wherever_they_lie(adapter_run):
    """ZeRO-3 leaves an empty tensor in place of each."""
    out = adapter_run[1]
    told = json.loads((out / "run_manifest.json").read_text())["training"]
    base, adapter = (count(path) for path in (TINY / "model.safetensors", out / "checkpoint-3" / ADAPTER))
    assert (told["parameters"], told["trained"]) == (base + adapter, adapter)
    assert told["adapted"] == pytest.approx(0.516, abs=1e-3)


def test_a_run_resumed_inside_an_epoch_goes_on_with_the_same_bits(adapter_run, train, tmp_path):
    import torch

    stage, out = adapter_run
    resume = f"training.resume_from_checkpoint={out}/checkpoint-2"
    again = train("stage2_lora", tmp_path / "again", f"deepspeed={stage}", *SAVING, resume)
    one, two = out / "checkpoint-3", again / "checkpoint-3"
    assert same(one, two)
    assert not same(one, out / "checkpoint-2")
    for ours, theirs in zip(masters(one), masters(two), strict=True):
        assert all(map(torch.equal, ours["weights"], theirs["weights"]))


def test_answers_are_given_in_between(adapter_run):
    for name in ("step-2", "after"):
        assert len((adapter_run[1] / f"predictions_{name}.jsonl").read_text().splitlines()) == 1


def test_a_checkpoint_of_spread_weights_is_merged(adapter_run, tmp_path):
    from transformers import AutoProcessor

    from qvl.data import load_contract
    from qvl.models import merge_adapter, plain_prompt, probe_messages

    checkpoint = adapter_run[1] / "checkpoint-3"
    contract = load_contract(checkpoint)
    processor = AutoProcessor.from_pretrained(TINY)
    probes = [plain_prompt(processor, one, contract.form).inputs for one in probe_messages(contract)]
    report = merge_adapter(checkpoint, tmp_path / "out", base=str(TINY), probes=probes, dtype="float32", tolerance=1e-5)
    assert report.difference < 1e-5


@pytest.fixture(scope="module", params=["zero2", "zero3"])
def aligner_run(request, forked, tmp_path_factory, demo_folder):
    """Two steps of stage 1: with ZeRO-2 a part is saved, with ZeRO-3, through the launcher, the whole model."""
    folder = tmp_path_factory.mktemp(request.param)
    words = [
        "recipe=stage1_aligner",
        "debug=fast",
        f"deepspeed={request.param}",
        "model.torch_dtype=bfloat16",
        "data.prepare=null",
        f"data.train.path={demo_folder}/train.jsonl",
        f"data.val.path={demo_folder}/val.jsonl",
        "data.images_per_user_turn=1",
        "training.max_grad_norm=1e9",
        "training.effective_batch_size=8",
        "training.per_device_train_batch_size=1",
        "training.eval_strategy='no'",
        "training.save_steps=1",
        "evaluation.before_training=false",
        "evaluation.num_samples=0",
    ]
    if request.param == "zero2":
        done = forked("qvl.train", f"hydra.run.dir={folder}/run", *words, cwd=folder, ranks=2)
    else:
        where = (f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=run", "training.save_whole_model=true")
        done = forked("qvl.train", "--multirun", "hydra/launcher=cpu_2x2", *where, *words, cwd=folder)
    assert set(done.codes) == {0}, done.output[-5000:]
    return folder / "run"


def test_stage_1_moves_the_aligner_alone(aligner_run):
    from safetensors.torch import load_file

    [file] = (aligner_run / "checkpoint-2").glob("*.safetensors")
    base, saved = load_file(TINY / "model.safetensors"), load_file(file)
    moved = {name for name, value in saved.items() if (base[name].bfloat16() != value).any()}
    assert moved and all("merger" in name for name in moved)
    assert saved.keys() == (base.keys() if file.name == "model.safetensors" else {n for n in base if "merger" in n})


def test_gradients_are_added_up_in_float32(aligner_run):
    """The first moment after one step is a tenth of the gradient: it has digits that bfloat16 does not have."""
    for process in masters(aligner_run / "checkpoint-1"):
        for state in process["state"].values():
            gradient = state["exp_avg"].flatten() * 10
            gradient = gradient[gradient != 0]
            rounded = gradient.bfloat16().float()
            assert ((gradient - rounded).abs() > 1e-4 * gradient.abs()).float().mean() > 0.8
