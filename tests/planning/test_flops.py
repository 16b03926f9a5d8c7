"""Operations of a step against floors that were computed elsewhere, and rules that they follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qvl.planning import Architecture, Batch, Tuning, known_config, step_flops

ADAPTERS = {"2B": 8_716_288, "4B": 16_515_072, "8B": 21_823_488}
FLOORS = {
    ("2B", 1): (19.7, 26.0),
    ("2B", 2): (20.0, 26.3),
    ("4B", 1): (40.1, 56.2),
    ("4B", 2): (40.8, 57.2),
    ("8B", 1): (70.8, 100.5),
    ("8B", 2): (72.0, 102.3),
}
"""Tera-operations of 2,048 tokens with one picture of 1,008, kept and checkpointed; logits of all positions."""
BATCH = Batch.of(1, tokens=2048, visual=1008, labelled=2048)


def model(size: str) -> Architecture:
    return Architecture.from_config(known_config(f"Qwen/Qwen3-VL-{size}-Instruct"))


def stage(number: int, size: str) -> Tuning:
    return Tuning(llm="frozen") if number == 1 else Tuning(llm="lora", adapter_weights=ADAPTERS[size])


@pytest.mark.parametrize(("size", "number"), FLOORS)
def test_a_step_costs_what_the_floor_says(size, number):
    kept, twice = FLOORS[size, number]
    tuning = stage(number, size)
    assert step_flops(model(size), BATCH, tuning).model / 1e12 == pytest.approx(kept, rel=0.03)
    again = step_flops(model(size), BATCH, replace(tuning, checkpointing=True))
    assert again.total / 1e12 == pytest.approx(twice, rel=0.03)
    assert again.model == step_flops(model(size), BATCH, tuning).model


def test_a_frozen_tower_runs_forward_only():
    small = model("4B")
    frozen = step_flops(small, BATCH, Tuning(llm="lora", checkpointing=True))
    trained = step_flops(small, BATCH, Tuning(llm="lora", vit="full", checkpointing=True))
    assert trained.vit == pytest.approx(3 * frozen.vit)
    assert trained.recomputed - frozen.recomputed == pytest.approx(frozen.vit)


def test_full_tuning_costs_half_as_much_again_as_adapters_in_the_matrices():
    text = Batch.of(1, tokens=1, labelled=1)
    frozen, full = (step_flops(model("8B"), text, Tuning(llm=llm)) for llm in ("frozen", "full"))
    assert full.llm / frozen.llm == pytest.approx(1.5, rel=1e-4)
    assert full.head / frozen.head == 1.5


def test_nothing_goes_backward_where_only_chat_rows_and_no_weights_below_are_trained():
    flops = step_flops(model("2B"), BATCH, Tuning(llm="frozen", aligner=False, checkpointing=True))
    assert flops.recomputed == 0
    assert flops.head == pytest.approx(2 * 2048 * 151_936 * 2048)


def test_batches_add_up():
    one = step_flops(model("2B"), BATCH, stage(2, "2B"))
    four = step_flops(model("2B"), Batch.of(4, tokens=2048, visual=1008, labelled=2048), stage(2, "2B"))
    assert (one + one + one + one).total == pytest.approx(four.total)


def test_several_pictures_cost_less_attention_than_one_as_large_as_all():
    one = step_flops(model("2B"), Batch.of(1, tokens=2048, visual=1008), stage(2, "2B"))
    four = step_flops(model("2B"), Batch.of(1, tokens=2048, visual=1008, pictures=4), stage(2, "2B"))
    assert four.vit < one.vit
    assert four.llm == one.llm
