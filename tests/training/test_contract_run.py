"""A checkpoint of a run holds its contract, and ms-swift's own commands take it as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from qvl.data import load_contract
from qvl.runtime.checkpoint import verify

pytestmark = [pytest.mark.slow, pytest.mark.swift]

TINY = Path(__file__).parents[2] / "qvl/models/tiny_checkpoint"
PLUGIN = """\
from swift.template.templates.qwen import Qwen2VLTemplate

Qwen2VLTemplate.image_token_id = {image}
"""


SIZES = {"IMAGE_MIN_TOKEN_NUM": "4", "IMAGE_MAX_TOKEN_NUM": "64"}


@pytest.fixture(scope="module")
def folder(forked, tmp_path_factory) -> Path:
    """A run of two steps, its best checkpoint merged by qvl, and two requests."""
    folder = tmp_path_factory.mktemp("contract")
    quick = ("recipe=stage2_lora", "debug=fast", "training.learning_rate=5e-3", "evaluation.num_samples=0")
    trained = forked("qvl.train", *quick, "prompts.language=zh", "hydra.run.dir=run", cwd=folder)
    assert trained.returncode == 0, trained.output[-4000:]
    merged = forked("qvl.export", "checkpoint=run", "out=merged", "merge=true", cwd=folder)
    assert merged.returncode == 0, merged.output[-4000:]
    contract = load_contract(folder / "run/checkpoint-2")
    data = folder / "multirun_outputs/data/demo"
    rows = [json.loads(line) for line in (data / "val.jsonl").read_text(encoding="utf-8").splitlines()[:2]]
    with (folder / "requests.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            turns = [("system", contract.system), ("user", f"<image>{contract.user}")]
            messages = [{"role": role, "content": text} for role, text in turns]
            request = {"messages": messages, "images": [str(data / row["images"][0])]}
            file.write(json.dumps(request, ensure_ascii=False) + "\n")
    # upstream has the ids of Qwen's own vocabulary written in; the shipped model has a small one
    vocabulary = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    (folder / "ids.py").write_text(PLUGIN.format(image=vocabulary["image_token_id"]))
    return folder


def answers(forked, folder: Path, name: str, *model: str) -> list[str]:
    """Ask as `swift infer` does, which starts this module."""
    quick = ("--temperature", "0", "--max_new_tokens", "32", "--external_plugins", "ids.py")
    rows = ("--val_dataset", "requests.jsonl", "--result_path", f"{name}.jsonl")
    done = forked("swift.cli.infer", *model, *rows, *quick, cwd=folder, **SIZES)
    assert done.returncode == 0, done.output[-4000:]
    lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["response"] for line in lines]


def test_the_contract_says_what_was_trained_and_is_sealed(folder):
    contract = load_contract(folder / "run/checkpoint-2")
    assert contract.user.startswith("列出每个对象")
    assert (contract.mode, contract.language, contract.domain) == ("dense", "zh", "generic")
    assert (contract.emit_norm, contract.order, contract.image_label) == ("norm1000", "tlbr", "图片")
    assert (contract.min_pixels, contract.max_pixels, contract.images_per_user_turn) == (4096, 65536, 2)
    assert (contract.base_model, len(contract.base_digest)) == ("qvl://tiny", 64)
    assert "qvl_contract.json" in {file.path for file in verify(folder / "run/checkpoint-2").files}


def test_swift_merges_a_checkpoint_to_the_same_weights(folder):
    swift = str(Path(sys.executable).with_name("swift"))
    merge = [swift, "export", "--adapters", "run/checkpoint-2", "--merge_lora", "true", "--output_dir", "theirs"]
    done = subprocess.run(
        merge, cwd=folder, env={**os.environ, **SIZES}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    ours, theirs = (load_file(folder / name / "model.safetensors") for name in ("merged", "theirs"))
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours)


def test_swift_answers_the_same_with_the_adapter_and_with_the_merged_weights(forked, folder):
    adapted = answers(forked, folder, "adapter", "--adapters", "run/checkpoint-2")
    merged = answers(forked, folder, "model", "--model", "merged", "--model_type", "qwen3_vl")
    assert len(adapted) == 2
    assert all(adapted)
    assert adapted == merged
