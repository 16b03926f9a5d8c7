"""The embedded configs have the weights of the published models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qvl
from qvl.planning import Architecture, known_config

PUBLISHED = {
    "2B": (2_127_532_032, 306_242_560, 100_714_496, True),
    "4B": (4_437_815_808, 306_242_560, 109_105_152, True),
    "8B": (8_767_123_696, 415_891_440, 160_496_896, False),
    "32B": (33_357_390_064, 415_891_440, 179_375_360, False),
    "30B-A3B": (31_070_754_032, 415_891_440, 122_739_968, False),
}
"""All weights, those of the vision tower and of the aligner, and whether the head is the embedding."""


@pytest.mark.parametrize("size", PUBLISHED)
def test_a_published_size_has_its_weights(size):
    model = Architecture.from_config(known_config(f"Qwen/Qwen3-VL-{size}-Instruct"))
    total, vit, aligner, tied = PUBLISHED[size]
    assert (model.parameters, model.parts["vit"], model.parts["aligner"]) == (total, vit, aligner)
    assert model.text.tied is tied
    assert bool(model.parts["head"]) is not tied


def test_one_expert_model_uses_a_tenth_of_its_weights():
    text = Architecture.from_config(known_config("Qwen/Qwen3-VL-30B-A3B-Thinking")).text
    assert text.sparse_layers == text.layers == 48
    assert 2.6e9 < text.active_weights < 3.0e9


def test_the_weights_of_the_shipped_model_are_counted_from_its_config():
    from safetensors import safe_open

    folder = Path(qvl.__file__).parent / "models/tiny_checkpoint"
    model = Architecture.from_config(json.loads((folder / "config.json").read_text()))
    with safe_open(folder / "model.safetensors", "np") as file:
        numbers = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    assert model.parameters == numbers


@pytest.mark.parametrize("path", ["Qwen/Qwen3-VL-5B-Instruct", "Qwen/Qwen2-VL-2B", "mine/Qwen3-VL-2B", "./Qwen3-VL-2B"])
def test_other_models_are_not_known(path):
    assert known_config(path) is None


def test_another_architecture_is_told_by_what_it_lacks():
    with pytest.raises(ValueError, match="has no 'vision_config', as that of a Qwen3-VL has"):
        Architecture.from_config({"text_config": known_config("Qwen/Qwen3-VL-2B-Instruct")["text_config"]})
