"""A tiny Qwen3-VL with random weights, made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("LOG_LEVEL", "ERROR")
PROMPTS = ["You annotate pictures.", "List every object."]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    from qvl.models import create_tiny_checkpoint

    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    create_tiny_checkpoint(folder, PROMPTS, seed=1)
    return folder


@pytest.fixture
def tiny_model(tiny_folder):
    from transformers import Qwen3VLForConditionalGeneration

    return Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder)


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory):
    from qvl.data import DemoScenes

    root = tmp_path_factory.mktemp("demo") / "scenes"
    return DemoScenes(root=str(root), style="field", seed=3, splits={"train": 9, "val": 4}).prepare()


@pytest.fixture(scope="session")
def template(tiny_folder):
    from swift.model import get_model_processor
    from swift.template import get_template

    _, processor = get_model_processor(str(tiny_folder), load_model=False, model_type="qwen3_vl")
    template = get_template(processor)
    template.set_mode("train")
    template.image_token_id = processor.image_token_id
    template.video_token_id = processor.video_token_id
    return template


@pytest.fixture
def encoder(template):
    from qvl.training.encoding import ConversationEncoder

    return ConversationEncoder(template, make_form())


@pytest.fixture
def turns(demo_folder):
    return build_turns(demo_folder / "train.jsonl")


@pytest.fixture
def make_turns():
    return build_turns


def make_form(emit_norm: str = "norm1000"):
    from qvl.data import TurnFormat

    return TurnFormat(emit_norm, "tlbr", "图片", min_pixels=4096, max_pixels=65536)


def build_turns(path: Path, *, images_per_user_turn: int = 2, emit_norm: str = "norm1000", augmentation=None):
    from qvl.conversation import DenseBuilder
    from qvl.data import JsonlDataset, KeepAll, SampleContext
    from qvl.prompts import PromptScheme

    prompts = PromptScheme(user=PROMPTS[1], system=PROMPTS[0])
    builder = DenseBuilder(prompts=prompts, emit_norm=emit_norm, order="tlbr")
    context = SampleContext(builder, make_form(emit_norm), 3, augmentation)
    return JsonlDataset(
        path=str(path), preprocessor=KeepAll(), context=context, images_per_user_turn=images_per_user_turn
    )
