"""A tiny Qwen3-VL with random weights, made once."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("LOG_LEVEL", "ERROR")
PROMPTS = ["You annotate pictures.", "List every object."]
SIDES = (100, 125, 200, 250)  # a pixel is a whole number of thousandths


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    from qvl.models import create_tiny_checkpoint

    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    create_tiny_checkpoint(folder, PROMPTS, seed=1)
    return folder


@pytest.fixture(scope="session")
def small_rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows"))


@dataclass(frozen=True)
class SmallRows:
    """Files train.jsonl (pictures), chat.jsonl and val.jsonl in a folder, and the conversations that rows mean."""

    folder: Path
    seen: list[list[dict[str, object]]]
    talked: list[list[dict[str, object]]]


def write_rows(folder: Path, *, num_pictures: int = 11, num_chats: int = 4) -> SmallRows:
    from PIL import Image

    rng = np.random.default_rng(5)
    seen, talked, rows = [], [], {"train": [], "chat": []}
    for number in range(num_pictures + num_chats):
        width, height = (int(side) for side in rng.choice(SIDES, 2))
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        if number >= num_pictures:
            text = {"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "screw " * number}
            rows["chat"].append({"messages": list(text)})
            talked.append(list(text))
            continue
        objects, answer = [], {}
        for place in range(1 + number % 4):
            box = [10 * place, 20 * place, 10 * place + 30 + number, 20 * place + 35]
            objects.append({"desc": f"type=screw,color={place}", "bbox_2d": box})
            thousandths = [value * 1000 // (height if index % 2 else width) for index, value in enumerate(box)]
            answer[f"object_{place + 1}"] = {"desc": f"type=screw,color={place}", "bbox_2d": thousandths}
        rows["train"].append({"images": [path.name], "width": width, "height": height, "objects": objects})
        user = [{"type": "image", "image": str(path)}, {"type": "text", "text": PROMPTS[1]}]
        system = {"role": "system", "content": PROMPTS[0]}
        seen.append([system, {"role": "user", "content": user}, {"role": "assistant", "content": json.dumps(answer)}])
    for name, lines in {**rows, "val": rows["train"][:1]}.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return SmallRows(folder, seen, talked)


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
