"""Gradients of whole runs against a reference that is written with transformers alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.swift]

MIN_PIXELS, MAX_PIXELS = 4096, 16384
NUM_MIXED = 7
"""Rows with pictures that stand beside all rows of chat in the run with two sources."""

BATCH = 8
ALIGNER = ("model.visual.merger", *(f"model.visual.deepstack_merger_list.{number}" for number in range(3)))
ALPHA, RANK = 32, 8


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


def named_as_trained(gradients, adapters, scale=ALPHA / RANK):
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
            found[lora % "B"] = scale * value @ adapters[lora % "A"].double().T
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
def rows(small_rows):
    folder = small_rows.folder
    pictures = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    (folder / "mixed.jsonl").write_text("".join(pictures[:NUM_MIXED]))
    (folder / "data").mkdir()
    (folder / "data" / "mix.yaml").write_text(MIX.format(folder=folder, ratio=len(small_rows.talked) / NUM_MIXED))
    return small_rows


@pytest.fixture(scope="module")
def reference(rows, tiny_folder):
    return Reference(tiny_folder, [*rows.seen, *rows.talked])


def train(forked, case, rows, model, out, *overrides):
    folder, (system, user, _) = rows.folder, rows.seen[0]
    files = ("data=jsonl", *(f"data.{name}.path={folder}/{name}.jsonl" for name in ("train", "val")))
    argv = [
        "qvl.train",
        f"--config-dir={folder}",
        f"tuner={case.tuner}",
        *(["data=mix"] if case.mixed else files),
        *(["tuner.lora_dropout=0"] if case.tuner == "llm_lora" else []),
        "data.images_per_user_turn=1",
        f"hydra.run.dir={out}",
        f"model.path={model}",
        f"model.max_pixels={MAX_PIXELS}",
        f"prompts.system='{system['content']}'",
        f"prompts.user='{user['content'][1]['text']}'",
        f"training.per_device_train_batch_size={case.layout[2]}",
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
        *overrides,
    ]
    done = forked(*argv, cwd=folder, ranks=case.layout[0], PYTHONPATH=str(Path(__file__).parent))
    assert done.returncode == 0, done.output[-4000:]
    return [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]


class Step:
    """What a run was about to give its optimiser, and what it should have been by the rows that it was made of."""

    def __init__(self, reference, out, number, *, ranks=1, scale=ALPHA / RANK):
        from safetensors.torch import load_file

        self.found = [load_file(out / f"gradients-{number}-{rank}.safetensors") for rank in range(ranks)]
        path = out / f"adapters-{number}-0.safetensors"
        adapters = load_file(path) if path.exists() else {}
        of_rows = [named_as_trained(gradients, adapters, scale) for gradients in reference.gradients]
        self.rows = members(self.found[0], of_rows)
        tokens = sum(reference.counts[row] for row in self.rows)
        self.loss = sum(reference.losses[row] for row in self.rows) / tokens
        self.wanted = {name: sum(of_rows[row][name] for row in self.rows) / tokens for name in of_rows[0]}

    @property
    def error(self):
        """Largest difference of a number on any process, as a share of the largest gradient."""
        assert all(gradients.keys() == self.wanted.keys() for gradients in self.found)
        largest = max(float(value.abs().max()) for value in self.wanted.values())
        pairs = [(gradients[name], self.wanted[name]) for gradients in self.found for name in self.wanted]
        return max(float((found - wanted).abs().max()) for found, wanted in pairs) / largest


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_the_mean_over_all_labelled_tokens_of_the_effective_batch(
    forked, tmp_path, rows, reference, tiny_folder, case
):
    trained_on = []
    for number, loss in enumerate(train(forked, case, rows, tiny_folder, tmp_path)):
        step = Step(reference, tmp_path, number, ranks=case.layout[0])
        assert step.error <= 1e-6
        assert loss == pytest.approx(step.loss, rel=1e-6)
        trained_on.append(step.rows)
    assert len(trained_on) == 2 and all(len(chosen) <= BATCH for chosen in trained_on)  # the filler stands in either
    pictures, numbers = len(rows.seen), range(len(rows.seen) + len(rows.talked))
    wanted = [*numbers[:NUM_MIXED], *numbers[pictures:]] if case.mixed else [*numbers[:pictures]]
    assert sorted(row for chosen in trained_on for row in chosen) == wanted


UNCHANGED = {
    "adam_beta1": 0.8,
    "adam_epsilon": 1e-6,
    "dataloader_prefetch_factor": 3,
    "logging_first_step": "false",
    "lr_scheduler_kwargs": "{num_cycles: 2}",
    "optim": "adamw_torch",
    "torch_compile_backend": "eager",
    "torch_empty_cache_steps": 1,
    "vit_gradient_checkpointing": "true",
    "warmup_steps": 5,
}
CHANGED = {"neftune_noise_alpha": 1e-3, "use_rslora": "true"}
BESIDE = ("training.learning_rate=0.1", "training.max_steps=1", "training.warmup_ratio=0")


def extra(**values):
    return [f"training.extra.{name}={value}" for name, value in values.items()]


def test_every_extra_argument_has_its_gradients_tested():
    from qvl.schema import EXTRA

    assert {name: key.changes_gradients for name, key in EXTRA.items()} == {
        **dict.fromkeys(UNCHANGED, False),
        **dict.fromkeys(CHANGED, True),
    }


def test_extra_arguments_of_loader_log_and_optimiser_leave_the_gradients_alone(
    forked, tmp_path, rows, reference, tiny_folder
):
    needed = ("training.dataloader_num_workers=1", "training.gradient_checkpointing=true")
    values = {name: value for name, value in UNCHANGED.items() if name != "torch_compile_backend"}
    train(forked, Case((1, 4, 2)), rows, tiny_folder, tmp_path, *BESIDE, *needed, *extra(**values))
    assert Step(reference, tmp_path, 0).error <= 1e-6
    settings = json.loads((tmp_path / "optimiser-0.json").read_text())
    assert (settings["optimiser"], settings["betas"], settings["eps"]) == ("AdamW", [0.8, 0.95], 1e-6)
    assert (settings["lr"], settings["initial_lr"]) == (0.0, 0.1)


def test_a_compiled_model_has_the_same_gradients(forked, tmp_path, rows, reference, tiny_folder):
    from safetensors.torch import load_file

    compiled, base = ("training.torch_compile=true", "training.max_steps=1"), tiny_folder / "model.safetensors"
    saved = ("training.save_strategy=steps", "training.save_steps=1")
    backend = extra(torch_compile_backend=UNCHANGED["torch_compile_backend"])
    train(forked, Case((1, 1, 8)), rows, tiny_folder, tmp_path, *compiled, *backend, *saved)
    assert Step(reference, tmp_path, 0).error <= 1e-6
    assert json.loads((tmp_path / "optimiser-0.json").read_text())["compiled_frames"] > 0
    assert load_file(tmp_path / "checkpoint-1" / "model.safetensors").keys() == load_file(base).keys()


@pytest.mark.gpu
def test_liger_kernels_have_the_same_gradients(forked, tmp_path, rows, reference, tiny_folder):
    pytest.importorskip("liger_kernel")
    liger = ("training.use_liger_kernel=true", "training.max_steps=1")
    train(forked, Case((1, 4, 2)), rows, tiny_folder, tmp_path, *liger)
    assert Step(reference, tmp_path, 0).error <= 1e-4  # sums of a GPU


def test_adapters_are_scaled_by_the_root_of_the_rank_if_asked_for(forked, tmp_path, rows, reference, tiny_folder):
    case = Case((1, 4, 2), "llm_lora")
    train(forked, case, rows, tiny_folder, tmp_path, *BESIDE, *extra(use_rslora="true", optim="sgd"))
    step = Step(reference, tmp_path, 0, scale=ALPHA / RANK**0.5)
    assert step.error <= 1e-6
    assert json.loads((tmp_path / "optimiser-0.json").read_text())["optimiser"] == "SGD"


def test_a_little_noise_changes_the_gradients_a_little(forked, tmp_path, rows, reference, tiny_folder):
    noise = extra(neftune_noise_alpha=CHANGED["neftune_noise_alpha"])
    train(forked, Case((1, 4, 2)), rows, tiny_folder, tmp_path, *BESIDE, *noise)
    assert 1e-5 < Step(reference, tmp_path, 0).error < 1e-3
