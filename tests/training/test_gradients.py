"""Gradients of whole runs against a reference that is written with transformers alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.swift]

PROMPTS = ("You annotate pictures.", "List every object.")
SIDES = (100, 125, 200, 250)  # a pixel is a whole number of thousandths
MIN_PIXELS, MAX_PIXELS = 4096, 16384
NUM_PICTURES, NUM_CHATS = 11, 4
NUM_MIXED = 7
"""Rows with pictures that stand beside all rows of chat in the run with two sources."""

BATCH = 8
ALIGNER = ("model.visual.merger", *(f"model.visual.deepstack_merger_list.{number}" for number in range(3)))
LORA_SCALE = 32 / 8


def write_rows(folder: Path) -> list[list[dict[str, object]]]:
    """Write rows with pictures and rows of chat, and return the conversations that they mean."""
    from PIL import Image

    rng = np.random.default_rng(5)
    said, seen, talked = [], [], []
    for number in range(NUM_PICTURES + NUM_CHATS):
        width, height = (int(side) for side in rng.choice(SIDES, 2))
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        if number >= NUM_PICTURES:
            text = {"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "screw " * number}
            talked.append({"messages": list(text)})
            said.append(list(text))
            continue
        objects, answer = [], {}
        for place in range(1 + number % 4):
            box = [10 * place, 20 * place, 10 * place + 30 + number, 20 * place + 35]
            objects.append({"desc": f"type=screw,color={place}", "bbox_2d": box})
            thousandths = [value * 1000 // (height if index % 2 else width) for index, value in enumerate(box)]
            answer[f"object_{place + 1}"] = {"desc": f"type=screw,color={place}", "bbox_2d": thousandths}
        seen.append({"images": [path.name], "width": width, "height": height, "objects": objects})
        user = [{"type": "image", "image": str(path)}, {"type": "text", "text": PROMPTS[1]}]
        system = {"role": "system", "content": PROMPTS[0]}
        said.append([system, {"role": "user", "content": user}, {"role": "assistant", "content": json.dumps(answer)}])
    for name, rows in {"train": seen, "mixed": seen[:NUM_MIXED], "chat": talked, "val": seen[:1]}.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return said


class Reference:
    """Sums of the cross entropy over the labelled tokens of each row, and their gradients, in float64."""

    def __init__(self, model_folder: Path, said: list[list[dict[str, object]]]) -> None:
        import torch
        from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

        self.processor = AutoProcessor.from_pretrained(model_folder)
        model = Qwen3VLForConditionalGeneration.from_pretrained(model_folder, dtype=torch.float64)
        self.counts, self.losses, self.gradients = [], [], []
        for messages in said:
            inputs, labels = self._encode(messages)
            logits = model(**inputs).logits
            loss = torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=-100, reduction="sum")
            model.zero_grad()
            loss.backward()
            self.counts.append(int((labels[0, 1:] != -100).sum()))
            self.losses.append(loss.item())
            self.gradients.append({name: zeros_or(value) for name, value in model.named_parameters()})

    def _encode(self, messages):
        import torch
        from PIL import Image
        from qwen_vl_utils.vision_process import smart_resize

        pictures = []
        for part in messages[-2]["content"]:
            if isinstance(part, dict) and part["type"] == "image":
                picture = Image.open(part["image"]).convert("RGB")
                limits = {"factor": 32, "min_pixels": MIN_PIXELS, "max_pixels": MAX_PIXELS}
                height, width = smart_resize(picture.height, picture.width, **limits)
                pictures.append(picture.resize((width, height)))
        text, prompt = (
            self.processor.apply_chat_template(turns, add_generation_prompt=open_end)
            for turns, open_end in ((messages, False), (messages[:-1], True))
        )
        assert text.startswith(prompt)
        encode = {"images": pictures or None, "images_kwargs": {"do_resize": False}, "return_tensors": "pt"}
        inputs = self.processor(text=[text], **encode)
        labels = inputs["input_ids"].clone()
        labels[:, : self.processor(text=[prompt], **encode)["input_ids"].shape[1]] = -100
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(torch.float64)
        return inputs, labels


def zeros_or(value):
    return value.new_zeros(value.shape) if value.grad is None else value.grad.clone()


def named_as_trained(gradients, adapters):
    """Return the gradients of a bare model as those of a model with adapters that add nothing yet.

    The product of an adapter is scale * B @ A; so B, which is zero, has the gradient scale * dW @ A.T, and A has none.
    """
    if not adapters:
        return gradients
    found = {}
    for name, value in gradients.items():
        part = name.rpartition(".")[0]
        lora = f"base_model.model.{part}.lora_%s.default.weight"
        if lora % "A" in adapters:
            found[lora % "B"] = LORA_SCALE * value @ adapters[lora % "A"].double().T
            found[lora % "A"] = value.new_zeros(adapters[lora % "A"].shape)
        for module in ALIGNER:
            if name.startswith(f"{module}."):
                found[f"base_model.model.{module}.modules_to_save.default{name.removeprefix(module)}"] = value
    return found


def flat(gradients):
    import torch

    return torch.cat([gradients[name].double().flatten() for name in sorted(gradients)])


def members(gradients, of_rows) -> list[int]:
    """Return the rows whose sum explains gradients: what a step was made of, without asking the program."""
    import torch

    rows = torch.stack([flat(row) for row in of_rows])
    shares = torch.linalg.solve(rows @ rows.T, rows @ flat(gradients))
    return [row for row, share in enumerate(shares.tolist()) if share > 0.5 * max(shares.tolist())]


MIX = """
defaults: [fusion, _self_]
images_per_user_turn: 1
train:
  sources:
    pictures: {{_target_: qvl.data.RowSource, path: {folder}/mixed.jsonl, images_per_user_turn: 1}}
    chat:
      _target_: qvl.data.RowSource
      path: {folder}/chat.jsonl
      role: auxiliary
      ratio: {ratio}
      images_per_user_turn: 1
      builder: {{_target_: qvl.conversation.ChatBuilder}}
val:
  sources:
    pictures: {{_target_: qvl.data.RowSource, path: {folder}/val.jsonl, images_per_user_turn: 1}}
"""


@dataclass(frozen=True)
class Case:
    """A layout of processes x accumulation x batch, the weights that are trained, and whether there are two sources."""

    layout: tuple[int, int, int]
    tuner: str = "full"
    mixed: bool = False

    def __str__(self) -> str:
        return "-".join(["x".join(map(str, self.layout)), self.tuner, "two sources" if self.mixed else "one source"])


CASES = [
    Case((1, 1, 8)),
    Case((1, 8, 1)),
    Case((2, 4, 1)),  # the last step has three turns, so one process has a filler in it
    Case((2, 2, 2)),
    Case((1, 8, 1), "llm_lora", mixed=True),
    Case((2, 2, 2), "full", mixed=True),
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    said = write_rows(folder)
    (folder / "data").mkdir()
    (folder / "data" / "mix.yaml").write_text(MIX.format(folder=folder, ratio=NUM_CHATS / NUM_MIXED))
    return folder, said


@pytest.fixture(scope="module")
def reference(rows, tiny_folder):
    return Reference(tiny_folder, rows[1])


def command(case, folder, model, out):
    batch = case.layout[2]
    files = ("data=jsonl", *(f"data.{name}.path={folder}/{name}.jsonl" for name in ("train", "val")))
    return [
        "qvl.train",
        f"--config-dir={folder}",
        f"tuner={case.tuner}",
        *(["data=mix"] if case.mixed else files),
        *(["tuner.lora_dropout=0"] if case.tuner == "llm_lora" else []),
        "data.images_per_user_turn=1",
        f"hydra.run.dir={out}",
        f"model.path={model}",
        f"model.max_pixels={MAX_PIXELS}",
        f"prompts.system='{PROMPTS[0]}'",
        f"prompts.user='{PROMPTS[1]}'",
        f"training.per_device_train_batch_size={batch}",
        f"training.effective_batch_size={BATCH}",
        "training.learning_rate=0",  # all steps have the gradients of the same weights
        "training.max_grad_norm=0",
        "training.logging_steps=1",
        "training.eval_strategy='no'",
        "training.save_strategy='no'",
        "evaluation.before_training=false",
        "evaluation.num_samples=0",
        "+callbacks.keep={_target_: keep_gradients.KeepGradients}",
        "trusted_targets=[keep_gradients.KeepGradients]",
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_the_mean_over_all_labelled_tokens_of_the_effective_batch(
    forked, tmp_path, rows, reference, tiny_folder, case
):
    from safetensors.torch import load_file

    folder, processes = rows[0], case.layout[0]
    argv = command(case, folder, tiny_folder, tmp_path)
    done = forked(*argv, cwd=folder, ranks=processes, PYTHONPATH=str(Path(__file__).parent))
    assert done.returncode == 0, done.output[-4000:]
    losses = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    trained_on = []
    for step, loss in enumerate(losses):
        ranks = [load_file(tmp_path / f"gradients-{step}-{rank}.safetensors") for rank in range(processes)]
        adapters = load_file(tmp_path / f"adapters-{step}-0.safetensors") if case.tuner == "llm_lora" else {}
        of_rows = [named_as_trained(gradients, adapters) for gradients in reference.gradients]
        chosen = members(ranks[0], of_rows)
        tokens = sum(reference.counts[row] for row in chosen)
        wanted = {name: sum(of_rows[row][name] for row in chosen) / tokens for name in ranks[0]}
        assert wanted.keys() == of_rows[0].keys()
        largest = max(value.abs().max() for value in wanted.values())
        for gradients in ranks:
            assert max((gradients[name] - wanted[name]).abs().max() for name in wanted) <= 1e-6 * largest
        assert loss == pytest.approx(sum(reference.losses[row] for row in chosen) / tokens, rel=1e-6)
        trained_on.append(chosen)
    assert [len(chosen) for chosen in trained_on] == [BATCH, NUM_PICTURES - BATCH]
    pictures = NUM_MIXED if case.mixed else NUM_PICTURES
    chats = range(NUM_PICTURES, NUM_PICTURES + NUM_CHATS) if case.mixed else ()
    assert sorted(row for chosen in trained_on for row in chosen) == [*range(pictures), *chats]
