from __future__ import annotations

import pytest

from qvl.errors import ConfigError, HealthError
from qvl.training.freezing import check_sources, check_trainable, cut_frozen_tower, expected_trainable

ALIGNER = ["model.visual.merger", *(f"model.visual.deepstack_merger_list.{number}" for number in range(3))]


def tuner(**changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "tuner_type": "lora",
        "freeze_llm": False,
        "freeze_vit": True,
        "freeze_aligner": True,
        "target_modules": ["all-linear"],
        "modules_to_save": ALIGNER,
        "use_dora": False,
    }
    return values | changes


def frozen(model, expected):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in expected
    return model


def test_stage_1_trains_the_aligner_and_nothing_else(tiny_model):
    names = expected_trainable(tiny_model, tuner(tuner_type="full", freeze_llm=True, freeze_aligner=False))
    assert len(names) == 24
    assert all("merger" in name for name in names)


def test_full_tuning_trains_everything(tiny_model):
    names = expected_trainable(
        tiny_model, tuner(tuner_type="full", freeze_vit=False, freeze_aligner=False, modules_to_save=[])
    )
    assert names == {name for name, _ in tiny_model.named_parameters()}


@pytest.mark.parametrize("use_dora", [False, True])
def test_stage_2_trains_what_peft_makes_of_the_recipe(tiny_model, use_dora):
    from peft import LoraConfig, get_peft_model

    expected = expected_trainable(tiny_model, tuner(use_dora=use_dora))
    config = LoraConfig(
        r=4,
        use_dora=use_dora,
        target_modules=r"^(model\.language_model(?=\.).*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj))$",
        modules_to_save=ALIGNER,
    )
    model = get_peft_model(tiny_model, config)
    check_trainable(model, expected)
    assert sum("lora_A" in name for name in expected) == 4 * 7
    assert sum("modules_to_save" in name for name in expected) == 24


def test_a_misspelt_module_is_an_error_that_names_the_nearest(tiny_model):
    with pytest.raises(HealthError, match=r"no module 'model\.visual\.mergr'; nearest: .*model\.visual\.merger"):
        expected_trainable(tiny_model, tuner(modules_to_save=["model.visual.mergr"]))


def test_a_misspelt_target_is_an_error(tiny_model):
    with pytest.raises(HealthError, match="no module 'q_porj'"):
        expected_trainable(tiny_model, tuner(target_modules=["q_porj"]))


def test_a_difference_is_listed_in_both_directions(tiny_model):
    expected = expected_trainable(tiny_model, tuner(tuner_type="full", freeze_llm=True, freeze_aligner=False))
    left_out, too_much = "model.visual.merger.norm.weight", "model.visual.pos_embed.weight"
    model = frozen(tiny_model, expected - {left_out} | {too_much})
    with pytest.raises(HealthError) as error:
        check_trainable(model, expected)
    not_trained, not_asked = str(error.value).splitlines()[1:]
    assert left_out in not_trained
    assert too_much in not_asked


class Counts:
    """Forward and backward calls of the blocks of the vision encoder and of the language model."""

    def __init__(self, model):
        self.calls = {}
        for part in ("visual.blocks", "language_model.layers"):
            for name, module in model.named_modules():
                if name.rpartition(".")[0].endswith(part) and name.rpartition(".")[2].isdigit():
                    module.register_forward_pre_hook(lambda *_, part=part: self._count(part, 0))
                    module.register_full_backward_hook(lambda *_, part=part: self._count(part, 1))

    def _count(self, part, way):
        self.calls.setdefault(part, [0, 0])[way] += 1

    @property
    def of_tower(self):
        return tuple(self.calls["visual.blocks"])


def batch(template, encoder, turns, model):
    template.model = model
    return template.data_collator([encoder.encode(turns[0], check=False)])


def step(model, inputs, *, checkpointing, cut):
    """One forward and backward pass as ms-swift prepares it; returns the calls and the gradients of the aligner."""
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
        embedding = model.model.visual.patch_embed  # ms-swift makes that the input embedding of the encoder
        embedding.register_forward_hook(lambda module, inputs, output: output.requires_grad_(True))
    handle = cut_frozen_tower(model) if cut else None
    counts = Counts(model)
    model.zero_grad()
    model(**{key: value for key, value in inputs.items() if key != "text_position_ids"}).loss.backward()
    if handle:
        handle.remove()
    return counts.of_tower, {name: value.grad for name, value in model.named_parameters() if "merger" in name}


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_frozen_tower_runs_forward_once_and_backward_never(
    tiny_folder, template, encoder, turns, monkeypatch, checkpointing
):
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    monkeypatch.setattr(template, "model", None)
    found = []
    for cut in (False, True):
        model = Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder)
        names = expected_trainable(model, tuner(tuner_type="full", freeze_llm=True, freeze_aligner=False))
        frozen(model, names)
        inputs = batch(template, encoder, turns, model)
        found.append(step(model, inputs, checkpointing=checkpointing, cut=cut))
    (plain_calls, plain), (calls, ours) = found
    blocks = model.config.vision_config.depth
    assert calls == (blocks, 0)
    assert plain_calls == ((2 * blocks, blocks) if checkpointing else (blocks, 0))
    assert len(plain) == 24
    assert all(torch.equal(plain[name], ours[name]) for name in plain)


def test_a_tower_that_is_trained_is_left_alone(tiny_model):
    frozen(tiny_model, {"model.visual.blocks.0.norm1.weight"})
    assert cut_frozen_tower(tiny_model) is None


def test_a_source_without_pictures_is_refused_where_only_pictures_train(tiny_model):
    aligner = expected_trainable(tiny_model, tuner(tuner_type="full", freeze_llm=True, freeze_aligner=False))
    everything = {name for name, _ in tiny_model.named_parameters()}
    with pytest.raises(ConfigError, match="said"):
        check_sources(frozen(tiny_model, aligner), {"seen": "dense", "said": "chat"})
    check_sources(frozen(tiny_model, aligner), {"seen": "dense"})
    check_sources(frozen(tiny_model, everything), {"said": "chat"})
