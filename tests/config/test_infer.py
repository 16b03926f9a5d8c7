"""The verb `qvl.infer` from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from verbs import ROOT, run_verb

infer = partial(run_verb, "infer")
COMMAND = ("model=qvl://tiny", "pictures=photos", "out=answers.jsonl")


def pictures(folder: Path, count: int = 2) -> None:
    (folder / "photos").mkdir()
    for number in range(count):
        Image.new("RGB", (64 + 8 * number, 64), (20 * number, 90, 90)).save(folder / "photos" / f"{number}.png")


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_pictures_of_a_folder_are_answered_and_a_bad_one_is_not_fatal(forked, tmp_path: Path) -> None:
    pictures(tmp_path, 3)
    (tmp_path / "photos" / "1.png").write_bytes(b"")
    done = infer(*COMMAND, "max_new_tokens=8", cwd=tmp_path)
    told = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert (done.returncode, told) == (0, [])
    assert "3 records of 3 pictures, 1 pictures could not be answered" in done.stdout
    found = records(tmp_path / "answers.jsonl")
    assert [(one["source"], one["finish_reason"]) for one in found] == [
        ("0.png", "length"), ("1.png", "error"), ("2.png", "length"),
    ]  # fmt: skip
    again = forked("qvl.infer", *COMMAND, "max_new_tokens=8", cwd=tmp_path)
    assert "0 records of 0 pictures (3 were there already)" in again.stdout
    other = forked("qvl.infer", *COMMAND, "max_new_tokens=9", cwd=tmp_path)
    assert (other.returncode, "max_new_tokens was 8 and is 9" in other.stderr) == (2, True)
    assert records(tmp_path / "answers.jsonl") == found


@pytest.mark.slow
def test_a_killed_command_typed_again_for_two_processes_leaves_the_bytes_of_an_uninterrupted_one(
    forked, tmp_path: Path
) -> None:
    pictures(tmp_path, 12)
    settings = ("max_new_tokens=40", "batch_size=1", "images_per_turn=2")
    assert forked("qvl.infer", *COMMAND, *settings, cwd=tmp_path).returncode == 0
    whole, out = tmp_path / "answers.jsonl", tmp_path / "killed.jsonl"
    argv = [sys.executable, "-m", "qvl.infer", *COMMAND[:2], "out=killed.jsonl", *settings]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(argv, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out.exists() and out.read_bytes().count(b"\n") >= 4):
        assert child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert 4 <= out.read_bytes().count(b"\n") < 12
    again = forked("qvl.infer", *COMMAND[:2], "out=killed.jsonl", *settings, cwd=tmp_path, ranks=2)
    assert again.codes == [0, 0], again.stderr
    assert again.stdout.count("were there already") == 1, "one process talks"
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_an_adapter_is_used_with_its_base_and_its_contract(forked, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3VLForConditionalGeneration

    from qvl.data import load_contract, write_contract
    from qvl.models import resolve_model

    pictures(tmp_path)
    tiny = resolve_model("qvl://tiny", run_folder=tmp_path, prompts=(), seed=0)
    checkpoint = tmp_path / "checkpoint"
    base = Qwen3VLForConditionalGeneration.from_pretrained(tiny)
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(checkpoint)  # adds nothing yet
    assert (
        "there is no qvl_contract.json" in forked("qvl.infer", "model=checkpoint/", *COMMAND[1:], cwd=tmp_path).stderr
    )
    write_contract(checkpoint, load_contract(tiny))
    assert forked("qvl.infer", *COMMAND, "max_new_tokens=8", cwd=tmp_path).returncode == 0
    adapted = forked(
        "qvl.infer", "model=./checkpoint", *COMMAND[1:2], "out=adapted.jsonl", "max_new_tokens=8", cwd=tmp_path
    )
    assert adapted.returncode == 0, adapted.stderr
    assert records(tmp_path / "adapted.jsonl") == records(tmp_path / "answers.jsonl")
    (tmp_path / "vllm-0.24.0.dist-info").mkdir()
    (tmp_path / "vllm-0.24.0.dist-info" / "METADATA").write_text("Name: vllm\nVersion: 0.24.0\n")  # as if installed
    refused = forked("qvl.infer", "model=./checkpoint", *COMMAND[1:2], "out=y.jsonl", "engine=vllm", cwd=tmp_path)
    assert (refused.returncode, "merge it with qvl.export" in refused.stderr) == (2, True)
    assert not (tmp_path / "y.jsonl").exists()


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("pictures=gone",), 1, "gone: there is no such file or folder"),
        (("model=./gone",), 2, "no such folder: ./gone"),
        (("model=qvl://huge",), 2, "unknown name 'qvl://huge'"),
        (("out=no/where.jsonl",), 2, "there is no folder no"),
        (("mode=chat",), 2, "mode: 'chat' is not one of dense, summary"),
        (("engine=magic",), 2, "'magic' is not one of transformers, vllm"),
        (("batch_size=0",), 2, "batch_size: 0 is out of range"),
        (("batchsize=3",), 2, "there is no key batchsize; did you mean batch_size?"),
        (("prompts=scheme_b",), 1, "trained with 'You annotate pictures."),
        (("form.emit_norm=norm100",), 1, "trained with 'norm1000', asked for 'norm100'"),
    ],
)
def test_a_mistake_is_told_before_a_model_is_loaded(
    here, tmp_path: Path, argv: tuple[str, ...], code: int, message: str
) -> None:
    pictures(tmp_path)
    given = {text.partition("=")[0] for text in argv}
    done = here("infer", *(text for text in COMMAND if text.partition("=")[0] not in given), *argv, cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_showing_the_configuration_needs_no_heavy_library(tmp_path: Path) -> None:
    done = infer("--cfg", "job", *COMMAND, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert "path: qvl://tiny" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "PIL", "PIL.Image", "shapely", "transformers"})
