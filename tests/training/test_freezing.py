from __future__ import annotations

import pytest

from qvl.errors import HealthError
from qvl.training.freezing import check_trainable, expected_trainable

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
