from __future__ import annotations

import json

import pytest

from qvl.errors import CheckpointError
from qvl.runtime.part import PART_NAME
from qvl.training.freezing import expected_trainable
from qvl.training.precision import MASTERS_NAME, Precision, TrainedWeights

pytestmark = pytest.mark.swift

STAGE_1 = {"tuner_type": "full", "freeze_llm": True, "freeze_vit": True, "freeze_aligner": False}
SAVE_WHOLE = ("training.save_whole_model=true",)
FULL = {**STAGE_1, "freeze_llm": False, "freeze_vit": False}


@pytest.fixture
def narrow_model(tiny_folder):
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    return Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder, dtype=torch.bfloat16)


def frozen(model, tuner):
    expected = expected_trainable(model, tuner)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in expected
    return model


def adapted(model, **options):
    from peft import LoraConfig, get_peft_model

    saved = ["model.visual.merger"]
    return get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], modules_to_save=saved, **options))


@pytest.mark.parametrize(
    "prepare",
    [lambda model: frozen(model, STAGE_1), lambda model: frozen(model, FULL), adapted],
    ids=["aligner", "full", "lora"],
)
def test_what_is_trained_is_float32_and_the_rest_as_it_was_loaded(narrow_model, prepare):
    model = prepare(narrow_model)
    precision = TrainedWeights(model, sharded=False).precision(products="bfloat16")
    types = {parameter.requires_grad: set() for parameter in model.parameters()}
    for parameter in model.parameters():
        types[parameter.requires_grad].add(str(parameter.dtype))
    assert types.pop(True) == {"torch.float32"}
    assert types in ({False: {"torch.bfloat16"}}, {})
    assert (precision.trained, precision.optimizer) == ("float32", "float32")
    assert precision.saved == ("bfloat16 and float32" if prepare is adapted else "bfloat16")  # PEFT makes LoRA float32


def test_with_deepspeed_the_model_keeps_one_type_and_masters_are_float32(narrow_model):
    model = frozen(narrow_model, STAGE_1)
    precision = TrainedWeights(model, sharded=True).precision(products="bfloat16")
    assert {str(parameter.dtype) for parameter in model.parameters()} == {"torch.bfloat16"}
    assert precision == Precision("bfloat16", "float32", "float32", "bfloat16", "bfloat16")


def test_a_float32_model_is_saved_as_it_is(tiny_model, tmp_path):
    weights = TrainedWeights(frozen(tiny_model, STAGE_1), sharded=False)
    weights.write(tmp_path)
    assert not weights.are_widened
    assert weights.as_saved(None) is None
    assert not (tmp_path / MASTERS_NAME).exists()


def test_saved_weights_have_the_type_of_the_model_and_stay_tied(narrow_model):
    weights = TrainedWeights(frozen(narrow_model, FULL), sharded=False)
    state = weights.as_saved(None)
    assert {str(value.dtype) for value in state.values()} == {"torch.bfloat16"}
    assert state.keys() == narrow_model.state_dict().keys()
    tied = state["lm_head.weight"].data_ptr() == state["model.language_model.embed_tokens.weight"].data_ptr()
    assert tied == narrow_model.config.tie_word_embeddings


def test_masters_come_back_bit_for_bit(narrow_model, tmp_path):
    import torch

    model = frozen(narrow_model, STAGE_1)
    weights = TrainedWeights(model, sharded=False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.data += 1e-6
    before = [parameter.data.clone() for parameter in trained]
    weights.write(tmp_path)
    for parameter in trained:
        parameter.data = parameter.data.bfloat16().float()
    assert not all(map(torch.equal, before, [parameter.data for parameter in trained]))
    weights.read(tmp_path)
    assert all(map(torch.equal, before, [parameter.data for parameter in trained]))


def test_a_checkpoint_without_masters_or_with_others_is_refused(narrow_model, tmp_path):
    from safetensors.torch import save_file

    weights = TrainedWeights(frozen(narrow_model, STAGE_1), sharded=False)
    with pytest.raises(CheckpointError, match=MASTERS_NAME):
        weights.read(tmp_path)
    weights.write(tmp_path)
    save_file({"other": next(narrow_model.parameters()).data}, tmp_path / MASTERS_NAME)
    with pytest.raises(CheckpointError, match="24 more"):
        weights.read(tmp_path)


def test_adapters_see_the_same_bits_without_float32_copies_of_their_inputs(tiny_folder):
    """The copies are what autocast rounds back: outputs are equal, and less is kept for the backward pass."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    ids = torch.arange(60).reshape(2, 30)
    found = []
    for weights in (lambda model: None, lambda model: TrainedWeights(model, sharded=False)):
        torch.manual_seed(0)
        model = Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder, dtype=torch.bfloat16)
        model = adapted(model, init_lora_weights=False)
        weights(model)
        kept: dict[int, int] = {}

        def pack(value, kept=kept):
            kept[value.data_ptr()] = value.nbytes
            return value

        with torch.autocast("cpu", torch.bfloat16), torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        found.append((logits.detach(), sum(kept.values())))
    (plain, most), (ours, less) = found
    assert torch.equal(plain, ours)
    assert less < most


def learn(forked, folder, dtype, demo, *more):
    out = folder / "run"
    done = forked(
        "qvl.train",
        "+recipe=stage1_aligner",
        f"hydra.run.dir={out}",
        f"model.torch_dtype={dtype}",
        "training.bf16=true",
        "data.prepare=null",
        f"data.train.path={demo}/train.jsonl",
        f"data.val.path={demo}/val.jsonl",
        "training.eval_strategy=no",
        "evaluation.num_samples=0",
        "training.effective_batch_size=2",
        *more,
        cwd=folder,
    )
    assert done.returncode == 0, done.output[-3000:]
    return out


def gain(out):
    scores = json.loads((out / "metrics.json").read_text())
    return scores["before"]["loss"] - scores["after"]["loss"]


@pytest.mark.slow
def test_an_aligner_learns_from_a_bfloat16_model_what_it_learns_from_a_float32_one(forked, tmp_path, demo_folder):
    """With weights in bfloat16 it learnt 42 % of that."""
    gains = []
    for dtype in ("bfloat16", "float32"):
        (folder := tmp_path / dtype).mkdir()
        quick = ("training.max_steps=40", "training.save_strategy='no'", "data.images_per_user_turn=1")
        gains.append(gain(learn(forked, folder, dtype, demo_folder, *quick)))
    assert gains[1] > 0.05
    assert gains[0] >= 0.95 * gains[1]


@pytest.mark.slow
def test_a_small_step_moves_trained_numbers_and_a_resumed_run_goes_on_with_the_same_bits(forked, tmp_path, demo_folder):
    from safetensors.torch import load_file

    from qvl.models import resolve_model

    tiny = ("training.aligner_lr=1e-6", "training.warmup_ratio=0", "training.max_steps=3", "training.save_steps=1")
    saving = ("training.save_strategy=steps", "training.save_total_limit=null")
    saving += ("evaluation.num_samples=1", "evaluation.max_new_tokens=4")  # answers with weights of two types
    out = learn(forked, tmp_path, "bfloat16", demo_folder, *tiny, *saving)
    base = load_file(f"{resolve_model('qvl://tiny', run_folder=tmp_path, prompts=(), seed=0)}/model.safetensors")
    first = load_file(out / "checkpoint-1" / PART_NAME)
    moved = {name: (value != base[name].bfloat16().float()) for name, value in first.items()}
    norms = [value for name, value in moved.items() if name.endswith("norm.weight")]
    assert (len(first), len(norms)) == (24, 4)
    assert sum(int(value.sum()) for value in moved.values()) >= 0.99 * sum(value.numel() for value in moved.values())
    assert sum(int(value.sum()) for value in norms) >= 0.99 * sum(value.numel() for value in norms)
    whole, again = tmp_path / "whole", tmp_path / "again"
    for folder, before, more in ((whole, out / "checkpoint-1", SAVE_WHOLE), (again, whole / "run/checkpoint-2", ())):
        folder.mkdir()
        resume = f"training.resume_from_checkpoint={before}"
        learn(forked, folder, "bfloat16", demo_folder, *tiny, *saving, resume, *more)
    saved = load_file(whole / "run/checkpoint-3/model.safetensors")
    assert {str(value.dtype) for value in saved.values()} == {"torch.bfloat16"}
    last = load_file(out / "checkpoint-3" / PART_NAME)
    for other in (whole / "run/checkpoint-3" / MASTERS_NAME, again / "run/checkpoint-3" / PART_NAME):
        other_last = load_file(other)
        assert other_last.keys() == last.keys()
        assert all((last[name] == other_last[name]).all() for name in last)
