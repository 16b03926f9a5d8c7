"""The checkpoint that is shipped, and the one that is made anew."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from qvl.models import create_tiny_checkpoint, resolve_model


@pytest.fixture(scope="module")
def shipped() -> Path:
    return Path(resolve_model("qvl://tiny", run_folder=Path("unused"), prompts=[], seed=0))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh") / "checkpoint"
    create_tiny_checkpoint(folder, ["List every object."], seed=1)
    return folder


def test_the_shipped_checkpoint_is_an_ordinary_small_one(shipped):
    config = json.loads((shipped / "config.json").read_text())
    assert config["architectures"] == ["Qwen3VLForConditionalGeneration"]
    assert config["text_config"]["num_hidden_layers"] >= 4
    assert len(config["vision_config"]["deepstack_visual_indexes"]) == 3
    assert sum(path.stat().st_size for path in shipped.iterdir()) <= 8 * 2**20
    assert not list(shipped.glob("*.py"))
    assert not list(shipped.glob("*.bin"))


def test_plain_transformers_loads_the_shipped_checkpoint(shipped):
    from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

    model = Qwen3VLForConditionalGeneration.from_pretrained(shipped)
    processor = AutoProcessor.from_pretrained(shipped)
    assert 0.9e6 < sum(parameter.numel() for parameter in model.parameters()) < 2e6
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "List."}]}]
    text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert text == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>List.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert processor.tokenizer.decode(processor.tokenizer.encode("任意 text ✓")) == "任意 text ✓"


@pytest.mark.parametrize("token", ["<|im_end|>", "<|image_pad|>", "<|vision_start|>", "<|endoftext|>"])
def test_special_tokens_are_one_token_each(fresh, token):
    from transformers import AutoTokenizer

    assert len(AutoTokenizer.from_pretrained(fresh).encode(token)) == 1


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(fresh, tmp_path):
    for name, seed in (("same", 1), ("other", 2)):
        create_tiny_checkpoint(tmp_path / name, ["List every object."], seed=seed)

    def digests(folder: Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    first, same, other = digests(fresh), digests(tmp_path / "same"), digests(tmp_path / "other")
    assert first == same
    assert {name for name in first if first[name] != other[name]} == {"model.safetensors"}


@pytest.mark.slow
@pytest.mark.swift
@pytest.mark.parametrize("pictures", [1, 2])
def test_the_shipped_model_grounds_unseen_scenes_of_its_own_kind(shipped, tmp_path, pictures):
    """The scenes have a seed of their own; what the model was trained on is made from seed 1."""
    import torch
    from swift.model import get_model_processor
    from swift.template import get_template

    from qvl.build import build
    from qvl.command import compose
    from qvl.conversation import DenseBuilder
    from qvl.data import DemoScenes, JsonlDataset, KeepAll, SampleContext, TurnFormat
    from qvl.inference import AnswerEvaluation
    from qvl.schema import TrainConfig, register_schema

    register_schema(TrainConfig, name="train")
    cfg = compose([])
    folder = DemoScenes(root=str(tmp_path / "scenes"), style="cabinet", seed=99, splits={"val": 48}).prepare()
    form = TurnFormat("norm1000", "tlbr", "图片", cfg.model.min_pixels, cfg.model.max_pixels)
    context = SampleContext(DenseBuilder(prompts=build(cfg.prompts)), form, 0, training=False)
    scenes = JsonlDataset(
        path=str(folder / "val.jsonl"),
        preprocessor=KeepAll(),
        context=context,
        images_per_user_turn=pictures,
        shuffle=False,
    )
    model, processor = get_model_processor(str(shipped), model_type="qwen3_vl", torch_dtype=torch.float32)
    template = get_template(processor)
    template.image_token_id = processor.image_token_id
    limits = {"num_samples": 48, "max_new_tokens": 800, "batch_size": 16, "num_pictures": 0}
    settings = {**limits, "line_tolerance": 20.0, "average_precision": []}
    evaluate = AnswerEvaluation(dataset=scenes, form=form, settings=settings, folder=tmp_path)
    scores = evaluate(model, template, name="unseen").scores
    assert scores["detection/rate_faulty"] <= 0.05
    assert scores["detection/f1_50"] >= 0.6
