"""Training equals plain `swift sft` bit for bit, where qvl means the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

pytestmark = [pytest.mark.slow, pytest.mark.swift]

STEPS, BATCH = 5, 2
MIN_TOKENS, MAX_TOKENS, SIDE = 4, 16, 32
ALIGNER = ("model.visual.merger", *(f"model.visual.deepstack_merger_list.{number}" for number in range(3)))
PLUGIN = """\
from swift.template.templates.qwen import Qwen2VLTemplate

Qwen2VLTemplate.image_token_id = {image_token_id}
Qwen2VLTemplate.video_token_id = {video_token_id}
"""


@pytest.fixture(scope="module")
def ours(forked, tmp_path_factory, small_rows, tiny_folder) -> Path:
    out, folder, (system, user, _) = tmp_path_factory.mktemp("ours"), small_rows.folder, small_rows.seen[0]
    done = forked(
        "qvl.train",
        "recipe=stage2_lora",
        "data=jsonl",
        "data.train.shuffle=false",
        "data.batching=random",  # the order of the file, as the plain run has it
        "data.images_per_user_turn=1",
        *(f"data.{name}.path={folder}/{name}.jsonl" for name in ("train", "val")),
        "augmentation=none",
        f"hydra.run.dir={out}",
        f"model.path={tiny_folder}",
        f"model.max_pixels={MAX_TOKENS * SIDE**2}",
        f"prompts.system='{system['content']}'",
        f"prompts.user='{user['content'][1]['text']}'",
        f"training.per_device_train_batch_size={BATCH}",
        f"training.effective_batch_size={BATCH}",
        f"training.max_steps={STEPS}",
        "training.logging_steps=1",
        "training.eval_strategy='no'",
        "training.save_strategy=steps",
        f"training.save_steps={STEPS}",
        "evaluation.before_training=false",
        "evaluation.num_samples=0",
        cwd=folder,
    )
    assert done.returncode == 0, done.output[-4000:]
    return out / f"checkpoint-{STEPS}"


@pytest.fixture(scope="module")
def theirs(forked, tmp_path_factory, small_rows, tiny_folder) -> Path:
    out = tmp_path_factory.mktemp("theirs")
    with (out / "rows.jsonl").open("w") as file:
        for system, user, answer in small_rows.seen:
            picture, text = user["content"]
            turns = [system, {"role": "user", "content": f"<image>{text['text']}"}, answer]
            file.write(json.dumps({"messages": turns, "images": [picture["image"]]}) + "\n")
    (out / "ids.py").write_text(PLUGIN.format(**json.loads((tiny_folder / "config.json").read_text())))
    flags = {
        "model": tiny_folder,
        "model_type": "qwen3_vl",
        "torch_dtype": "float32",
        "attn_impl": "sdpa",
        "bf16": "false",
        "fp16": "false",
        "dataset": "rows.jsonl",
        "dataset_shuffle": "false",
        "train_dataloader_shuffle": "false",
        "split_dataset_ratio": 0,
        "load_from_cache_file": "false",
        "tuner_type": "lora",
        "lora_rank": 8,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
        "freeze_vit": "true",
        "freeze_aligner": "true",
        "max_length": 10000,
        "learning_rate": 5e-4,
        "aligner_lr": 5e-4,
        "vit_lr": 2e-5,
        "lr_scheduler_type": "cosine",
        "warmup_ratio": 0.05,
        "weight_decay": 0.1,
        "adam_beta2": 0.95,
        "max_grad_norm": 0.5,
        "gradient_checkpointing": "false",
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": 1,
        "max_steps": STEPS,
        "save_steps": STEPS,
        "logging_steps": 1,
        "eval_strategy": "no",
        "dataloader_num_workers": 0,
        "seed": 17,
        "data_seed": 17,
        "use_cpu": "true",
        "use_hf": "true",
        "check_model": "false",
        "report_to": "none",
        "external_plugins": "ids.py",
        "add_version": "false",
        "output_dir": "run",
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    sizes = {"IMAGE_MIN_TOKEN_NUM": str(MIN_TOKENS), "IMAGE_MAX_TOKEN_NUM": str(MAX_TOKENS)}
    lists = ["--target_modules", "all-linear", "--modules_to_save", *ALIGNER]
    done = forked("swift.cli.sft", *words, *lists, cwd=out, **sizes)
    assert done.returncode == 0, done.output[-4000:]
    return out / "run" / f"checkpoint-{STEPS}"


def test_losses_and_gradient_norms_of_five_steps_are_equal(ours, theirs):
    histories = [json.loads((folder / "trainer_state.json").read_text())["log_history"] for folder in (ours, theirs)]
    one, two = ([(line["loss"], line["grad_norm"]) for line in history if "loss" in line] for history in histories)
    assert len(one) == STEPS
    assert one == two


def test_trained_weights_are_equal_after_five_steps(ours, theirs):
    one, two = (load_file(folder / "adapter_model.safetensors") for folder in (ours, theirs))
    assert one.keys() == two.keys()
    assert len(one) == 4 * 7 * 2 + 24
    assert all((one[name] == two[name]).all() for name in one)
