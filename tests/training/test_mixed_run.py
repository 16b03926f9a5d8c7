"""A whole run on a mix of sources, augmented, planned by length, loaded by workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.swift]
MIX = """
defaults: [fusion, _self_]
batching: grouped
train:
  sources:
    singles: {{_target_: qvl.data.RowSource, path: {data}/train.jsonl, images_per_user_turn: 1}}
    pairs: {{_target_: qvl.data.RowSource, path: {data}/train.jsonl, ratio: 0.5, max_objects: 2}}
    chat:
      _target_: qvl.data.RowSource
      path: {chat}
      role: auxiliary
      ratio: 0.3
      images_per_user_turn: 1
      builder: {{_target_: qvl.conversation.ChatBuilder}}
val:
  sources:
    singles: {{_target_: qvl.data.RowSource, path: {data}/val.jsonl, images_per_user_turn: 1}}
"""


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def mixed_run(request, forked, tmp_path_factory, demo_folder, tiny_folder):
    folder = tmp_path_factory.mktemp("mixed")
    said = {"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]}
    (folder / "chat.jsonl").write_text(f"{json.dumps(said)}\n" * 3)
    (folder / "data").mkdir()
    (folder / "data" / "mix.yaml").write_text(MIX.format(data=demo_folder, chat=folder / "chat.jsonl"))
    torchrun = ["torch.distributed.run", f"--nproc-per-node={request.param}"]
    rendezvous = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", "-m"]
    command = [
        *([*torchrun, *rendezvous] if request.param > 1 else []),  # as people start it; other tests fork the ranks
        "qvl.train",
        f"--config-dir={folder}",
        "recipe=stage2_lora",
        "debug=fast",
        "data=mix",
        "augmentation=full",
        "augment_prob=0.7",
        f"model.path={tiny_folder}",
        f"hydra.run.dir={folder}/run",
        "data.train.limit=null",
        "training.per_device_train_batch_size=1",
        "training.effective_batch_size=4",
        "training.max_steps=-1",
        "training.num_train_epochs=2",
        "training.dataloader_num_workers=2",
        "health.ranks_every_n=1",  # a step that ends with a batch of chat once left each process with its own aligner
        "evaluation.num_samples=0",
    ]
    done = forked(*command, cwd=folder)
    assert done.returncode == 0, done.output[-4000:]
    return folder / "run"


def test_every_scheduled_row_was_trained_on_in_every_epoch(mixed_run: Path) -> None:
    lines = [json.loads(line) for line in (mixed_run / "epochs.jsonl").read_text().splitlines()]
    plans = [line["plan"]["sources"] for line in lines if "plan" in line]
    accounts = [line["account"] for line in lines if "account" in line]
    assert len(plans) == len(accounts) == 2
    for plan, account in zip(plans, accounts, strict=True):
        assert {name: source["rows_drawn"] for name, source in plan.items()} == {"singles": 9, "pairs": 5, "chat": 4}
        assert account["rows_scheduled"] == account["rows_trained"] == 18


def test_the_log_has_the_loss_of_each_source(mixed_run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(mixed_run / "tensorboard"))
    log.Reload()
    names = set(log.Tags()["scalars"])
    assert {"train/loss_singles", "train/loss_pairs", "train/loss_chat"} <= names
