"""Arithmetic of memory against tensors that are counted while the real layers run, and against other counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from live_bytes import LiveBytes, as_fakes

from qvl.planning import GIB, Architecture, Batch, Setting, Tuning, Weights, known_config, needs_checkpointing
from qvl.planning.memory import peak_memory, spare

COUNTED = {
    ("2B", 2): 8.5,
    ("4B", 1): 10.8,
    ("4B", 2): 13.3,
    ("4B", 4): 18.3,
    ("8B", 1): 18.1,
    ("8B", 2): 20.9,
    ("8B", 4): 26.4,
}
"""GiB of language model, head, loss and adapters for turns of 2,500 tokens, 1,200 with logits, with checkpointing."""
ADAPTERS = {"2B": 8_716_288, "4B": 16_515_072, "8B": 21_823_488, "32B": 67_108_864}


def model(size: str) -> Architecture:
    return Architecture.from_config(known_config(f"Qwen/Qwen3-VL-{size}-Instruct"))


def stage_2(size: str, **changes: object) -> tuple[Architecture, Tuning, Weights, Setting]:
    own = model(size)
    text, adapters = own.text, ADAPTERS[size]
    trained = adapters + own.parts["aligner"]
    inputs = text.layers * (5 * text.hidden + text.queries + text.inner)
    tuning = Tuning(llm="lora", adapter_weights=adapters)
    return (
        own,
        tuning,
        Weights(own.parameters, trained, trained),
        Setting(adapter_inputs=inputs, dropout=0.1, **changes),
    )


@pytest.mark.parametrize(("size", "turns"), COUNTED)
def test_the_language_model_takes_what_was_counted(size, turns):
    own, tuning, _, setting = stage_2(size)
    adapters = ADAPTERS[size]
    both = own.parts["llm"] + own.text.hidden * own.text.vocabulary  # those who counted had a head of its own
    weights = Weights(both, adapters, adapters)
    batch = Batch.of(turns, tokens=2500, labelled=1200)
    memory = peak_memory(own, batch, replace(tuning, checkpointing=True), weights, setting)
    assert memory.peak / GIB == pytest.approx(COUNTED[size, turns], rel=0.03)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_layer_at_real_widths_keeps_what_is_said(dropout):
    own, tuning, weights, setting = stage_2("2B", gpu=False)
    setting = replace(setting, dropout=dropout)
    measured = {checkpointing: [] for checkpointing in (False, True)}
    for layers in (1, 2):
        language_model = adapted_layers("2B", layers, dropout)
        for checkpointing in measured:
            measured[checkpointing].append(kept_forward(language_model, own.text.hidden, checkpointing))
    batch = Batch.of(2, tokens=1000, labelled=1)
    for checkpointing, (one, two) in measured.items():
        said = peak_memory(own, batch, replace(tuning, checkpointing=checkpointing), weights, setting).layers
        rounded = 2 * ADAPTERS["2B"]  # counted with the weights
        assert (said + rounded) / own.text.layers == pytest.approx(two - one, rel=0.005), checkpointing


def adapted_layers(size: str, layers: int, dropout: float):
    """Return a language model at real widths with adapters, made of shapes only."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
    from transformers.initialization import no_init_weights

    config = known_config(f"Qwen/Qwen3-VL-{size}-Instruct")
    config["text_config"]["num_hidden_layers"] = layers
    config["vision_config"] |= {"depth": 3, "deepstack_visual_indexes": [0, 1, 2]}
    names = "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj"
    lora = LoraConfig(r=8, lora_dropout=dropout, target_modules=rf".*language_model.*\.({names})")
    with torch.device("meta"), no_init_weights():
        bare = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_dict(config)).bfloat16()
        bare.config.text_config.use_cache = False
        tuned = get_peft_model(bare, lora)
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
    return as_fakes(tuned.train()).base_model.model


def kept_forward(whole, hidden: int, checkpointing: bool) -> int:
    import torch

    if checkpointing:
        whole.gradient_checkpointing_enable({"use_reentrant": False})
    with whole.fakes, LiveBytes() as meter, torch.autocast("cpu", torch.bfloat16):
        stream = torch.zeros(2, 1000, hidden, dtype=torch.bfloat16, requires_grad=True)
        positions = torch.zeros(3, 2, 1000, dtype=torch.long)
        out = whole.model.language_model(inputs_embeds=stream, position_ids=positions, use_cache=False)
        kept = meter.now
    del out
    return kept


def test_4b_fits_into_80_gb_without_checkpointing_one_by_one_and_32b_does_not():
    def asks(size: str) -> bool:
        own, tuning, weights, setting = stage_2(size)
        batch = Batch.of(1, tokens=2500, visual=784, pictures=2, labelled=1700)
        return needs_checkpointing(80e9, own, batch, tuning, weights, setting)

    assert not asks("2B")
    assert not asks("4B")
    assert asks("32B")


def test_zero_shares_what_it_says_it_shares():
    own, tuning, weights, alone = stage_2("32B")
    batch = Batch.of(1, tokens=2500, labelled=1000)
    plain, two, three = (
        peak_memory(own, batch, tuning, weights, replace(alone, zero=zero, processes=8)) for zero in (0, 2, 3)
    )
    assert two.optimizer < plain.optimizer / 3
    assert two.weights == pytest.approx(2 * (weights.frozen + weights.trained))
    assert three.weights == pytest.approx(two.weights / 8 + 2e9)
    assert plain.layers == two.layers == three.layers


def test_training_every_weight_takes_eighteen_bytes_a_weight():
    own = model("2B")
    weights = Weights(0, own.parameters, own.parameters)
    tuning = Tuning(llm="full", vit="full")
    memory = peak_memory(own, Batch.of(1, tokens=1, labelled=1), tuning, weights, Setting())
    assert memory.resident == pytest.approx(18 * own.parameters)
    assert spare(memory, 24e9) < 0 < spare(memory, 80e9)
