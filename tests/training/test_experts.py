"""A mixture of experts: adapters on experts, their share of the weights, and files in the layout of the hub."""

from __future__ import annotations

import json
import shutil

import pytest

from qvl.errors import HealthError
from qvl.runtime import hub_layout
from qvl.training.freezing import check_trainable, expected_trainable
from qvl.training.run_view import adapted_share

pytestmark = pytest.mark.swift
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
LAYERS, EXPERT, HIDDEN, INNER = 4, 4, 64, 24


@pytest.fixture(scope="module")
def moe_folder(tiny_folder, tmp_path_factory):
    """A tiny Qwen3-VL MoE whose file was not written by transformers: experts are (experts, in, out), as on the hub."""
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

    folder = tmp_path_factory.mktemp("moe") / "model"
    shutil.copytree(tiny_folder, folder)
    (folder / "model.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text())
    text, vision = config["text_config"], config["vision_config"]
    text |= {"hidden_size": HIDDEN, "intermediate_size": 2 * HIDDEN, "moe_intermediate_size": INNER}
    text |= {"num_experts": EXPERT, "num_experts_per_tok": 2, "decoder_sparse_step": 1, "mlp_only_layers": []}
    vision |= {"out_hidden_size": HIDDEN}
    config |= {"architectures": ["Qwen3VLMoeForConditionalGeneration"], "model_type": "qwen3_vl_moe"}
    text["model_type"], vision["model_type"] = "qwen3_vl_moe_text", "qwen3_vl_moe"
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = Qwen3VLMoeForConditionalGeneration(Qwen3VLMoeConfig.from_pretrained(folder))
    weights = {name: value.clone() for name, value in model.state_dict().items() if name != "lm_head.weight"}
    for name, value in weights.items():
        if ".experts." in name:
            weights[name] = value.normal_(std=0.02).transpose(1, 2).contiguous()
    shapes = {name.rpartition(".")[2]: tuple(value.shape) for name, value in weights.items() if ".experts." in name}
    assert shapes == {"gate_up_proj": (EXPERT, HIDDEN, 2 * INNER), "down_proj": (EXPERT, INNER, HIDDEN)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def moe(moe_folder):
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(moe_folder)


def tuner(**changes):
    values = {"tuner_type": "lora", "freeze_llm": False, "freeze_vit": True, "freeze_aligner": True}
    return {**values, "target_modules": ["q_proj"], "modules_to_save": [], "use_dora": False, **changes}


def adapted(model, **options):
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=2, lora_dropout=0.0, **options))


@pytest.mark.parametrize("targets", [EXPERTS, EXPERTS[:1], EXPERTS[1:]], ids=["both", "first", "second"])
def test_adapters_on_experts_are_counted_as_peft_makes_them(moe, targets):
    expected = expected_trainable(moe, tuner(target_parameters=targets))
    whole = sum(value.numel() for value in moe.parameters())
    beside = LAYERS * 128 * HIDDEN  # 4 heads of 32
    beside += LAYERS * EXPERT * HIDDEN * sum({EXPERTS[0]: 2 * INNER, EXPERTS[1]: INNER}[name] for name in targets)
    model = adapted(moe, target_modules=r".*language_model.*\.q_proj", target_parameters=targets)
    check_trainable(model, expected)
    assert len(expected) == LAYERS * 2 * (1 + len(targets))
    assert adapted_share(model) == pytest.approx(beside / whole)


def test_a_misspelt_weight_is_an_error_that_names_the_nearest(moe):
    with pytest.raises(HealthError, match=r"the model has no weight 'mlp\.experts\.gate_proj'; nearest: .*gate_up"):
        expected_trainable(moe, tuner(target_parameters=["mlp.experts.gate_proj"]))


def assert_same_file(one, two, *, but=()):
    from safetensors.torch import load_file

    first, second = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    assert first.keys() == second.keys()
    assert {name: value.shape for name, value in first.items()} == {name: value.shape for name, value in second.items()}
    changed = {name for name in first if (first[name] != second[name]).any()}
    assert bool(changed) == bool(but)
    assert all(any(part in name for part in but) for name in changed)


def test_a_saved_model_has_the_layout_that_it_was_loaded_with(moe, moe_folder, tmp_path):
    with hub_layout(moe):
        moe.save_pretrained(tmp_path)
    assert_same_file(moe_folder, tmp_path)


def test_merged_experts_have_the_layout_of_the_hub_and_answer_as_the_adapter(moe, moe_folder, tmp_path):
    import torch

    from qvl.models import merge_adapter

    model = adapted(moe, target_modules=r".*language_model.*\.q_proj", target_parameters=EXPERTS[:1])
    for name, value in model.named_parameters():
        if "lora_B" in name:
            value.data.normal_(std=0.05)
    model.save_pretrained(tmp_path / "adapter")
    ids = torch.arange(20)[None]
    report = merge_adapter(
        *(tmp_path / "adapter", tmp_path / "out"),
        base=str(moe_folder),
        probes=[{"input_ids": ids, "attention_mask": torch.ones_like(ids)}],
        dtype="auto",
        tolerance=1e-5,
    )
    assert report.written_difference < 1e-5
    assert_same_file(moe_folder, tmp_path / "out", but=("q_proj", "gate_up_proj"))


@pytest.mark.slow
def test_both_stages_train_a_mixture_of_experts(forked, moe_folder, demo_folder, tmp_path):
    """Stage 1 leaves the file of the hub with another aligner; stage 2 adapts experts, and says what it reaches."""
    from safetensors.torch import load_file

    words = [
        "debug=fast",
        "model=qwen3_vl_30b_a3b",
        f"model.path={moe_folder}",
        "model.attn_impl=sdpa",
        "model.torch_dtype=float32",
        "data.prepare=null",
        f"data.train.path={demo_folder}/train.jsonl",
        f"data.val.path={demo_folder}/val.jsonl",
        "data.images_per_user_turn=1",
        "model.max_pixels=65536",
        "training.effective_batch_size=2",
        "training.max_steps=1",
        "training.warmup_ratio=0",  # the first step moves something
        "training.save_steps=1",
        "training.save_whole_model=true",
        "training.eval_strategy='no'",
        "evaluation.before_training=false",
        "evaluation.num_samples=0",
    ]
    runs = {"stage1_aligner": (), "stage2_lora": (f"tuner.target_parameters=[{','.join(EXPERTS)}]",)}
    for recipe, more in runs.items():
        out = f"hydra.run.dir={tmp_path}/{recipe}"
        dropout = ("tuner.lora_dropout=0",) if more else ()
        done = forked("qvl.train", f"recipe={recipe}", out, *words, *more, *dropout, cwd=tmp_path)
        assert done.codes == [0], done.output[-4000:]
    assert_same_file(moe_folder, tmp_path / "stage1_aligner" / "checkpoint-1", but=("merger",))
    told = json.loads((tmp_path / "stage2_lora" / "run_manifest.json").read_text())["training"]
    attention, experts = HIDDEN * (128 + 64 + 64 + 128), EXPERT * HIDDEN * 3 * INNER
    whole = sum(value.numel() for value in load_file(moe_folder / "model.safetensors").values())
    assert told["adapted"] == pytest.approx(LAYERS * (attention + experts) / whole)
    assert "adapters beside" in done.stdout
    refused = forked("qvl.train", "recipe=stage2_lora", *words, *runs["stage2_lora"], cwd=tmp_path)
    assert refused.codes == [2]
    assert "tuner.lora_dropout: 0.1 needs the inputs of a layer" in refused.output
