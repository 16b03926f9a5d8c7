"""A run with two sealed checkpoints of an adapter of the shipped model; nothing was trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvl.data import Contract, model_digest, write_contract
from qvl.runtime import write_json
from qvl.runtime.checkpoint import checkpoint_folder, publish
from qvl.runtime.part import write_part

TINY = Path(__file__).parents[2] / "qvl/models/tiny_checkpoint"
SYSTEM, USER = "You annotate pictures.", "List every object."


def contract(**changes) -> Contract:
    known = {
        **{"mode": "dense", "system": SYSTEM, "user": USER, "image_label": "图片", "emit_norm": "norm1000"},
        **{"order": "tlbr", "min_pixels": 4096, "max_pixels": 65536, "side_factor": 32, "images_per_user_turn": 2},
        **{"language": "en", "domain": "generic", "base_model": "qvl://tiny", "base_digest": model_digest(TINY)},
    }
    return Contract(**{**known, **changes})


def save_adapter(folder: Path, *, rank: int = 4, dora: bool = False) -> None:
    """Write LoRA on two layers and a merger that is trained as a whole, all of them away from the base."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(TINY)
    targets = r"^model\.language_model.*\.(q_proj|down_proj)$"
    config = LoraConfig(r=rank, target_modules=targets, modules_to_save=["model.visual.merger"], use_dora=dora)
    adapted = get_peft_model(model, config)
    draw = torch.Generator().manual_seed(1)
    for name, weight in adapted.named_parameters():
        if weight.requires_grad and "magnitude" not in name:
            weight.data += 0.02 * torch.randn(weight.shape, generator=draw)
    adapted.save_pretrained(folder)


def seal_part(folder: Path, *, base: Path = TINY, contract: Contract) -> None:
    """Publish a trained merger of a model as a checkpoint of stage 1 holds it."""
    import torch
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    draw = torch.Generator().manual_seed(2)
    trained = {name: value for name, value in model.named_parameters() if "visual.merger" in name}
    staging = folder.with_name("staging")
    staging.mkdir(parents=True)
    write_part(
        staging,
        {name: value + 0.02 * torch.randn(value.shape, generator=draw) for name, value in trained.items()},
        base=str(base),
    )
    write_contract(staging, contract)
    (staging / "optimizer.pt").write_bytes(b"state of the training")
    write_json(staging / "trainer_state.json", {"log_history": []})
    publish(staging, folder)


def seal_adapter(folder: Path, *, contract: Contract, rank: int = 4, state: object = None) -> None:
    """Publish an adapter as a checkpoint with what a training leaves beside it."""
    staging = folder.with_name("staging")
    save_adapter(staging, rank=rank)
    write_contract(staging, contract)
    (staging / "optimizer.pt").write_bytes(b"state of the training")
    write_json(staging / "trainer_state.json", state)
    publish(staging, folder)


def make_run(run: Path) -> Path:
    scores = {1: 0.5, 2: 0.75}
    names = ("loss", "token_acc", "detection/f1_50", "detection/rate_faulty", "detection/count_bias", "runtime")
    for step in scores:
        log = [{"step": one, **{f"eval_{name}": scores[one] for name in names}} for one in scores if one <= step]
        state = {"best_global_step": 1, "best_metric": 0.5, "log_history": [*log, {"step": 9, "eval_loss": 0.1}]}
        seal_adapter(checkpoint_folder(run, step), contract=contract(), rank=2 * step, state=state)
    manifest = {
        **{"command": ["qvl/train.py", "+recipe=stage2_lora"], "overrides": ["+recipe=stage2_lora"], "seed": 17},
        **{"world_size": 1, "packages": {"torch": "2.11.0"}, "git": None},
        "data": [{"path": "/data/train.jsonl", "rows": 8, "sha256": "a1b2"}],
    }
    write_json(run / "run_manifest.json", manifest)
    write_json(
        run / "metrics.json",
        {"before": {"loss": 1.0}, "after": {"loss": 0.5, "detection/f1_50": 0.25}, "global_step": 2},
    )
    return run


@pytest.fixture(scope="session")
def adapter_run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def part_run(tmp_path_factory) -> Path:
    """The folder of a run with one checkpoint of a part."""
    run = tmp_path_factory.mktemp("parts") / "run"
    seal_part(checkpoint_folder(run, 1), contract=contract())
    return run


@pytest.fixture
def make_part():
    return seal_part


@pytest.fixture
def make_contract():
    return contract


@pytest.fixture
def make_adapter():
    return save_adapter
