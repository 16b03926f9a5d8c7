from __future__ import annotations

import pytest
import torch

from qvl.training.lengths import measure
from qvl.training.sampling import Machine, TurnBatches
from qvl.training.trainer import SealedTrainer

pytestmark = pytest.mark.swift
BATCHING = ["random", "exact", "grouped"]


def shares(turns, lengths, *, world_size, batch_size, batching="random", accumulation=1, **changes):
    return [
        TurnBatches(
            turns,
            lengths,
            machine=Machine(batch_size, accumulation, rank, world_size),
            batching=batching,
            limit=changes.get("limit", 10_000),
            **{key: value for key, value in changes.items() if key != "limit"},
        )
        for rank in range(world_size)
    ]


@pytest.fixture
def singles(demo_folder, make_turns):
    return make_turns(demo_folder / "train.jsonl", images_per_user_turn=1)


@pytest.mark.parametrize("batching", BATCHING)
@pytest.mark.parametrize("world_size", [1, 2, 4, 8])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_processes_together_see_every_turn_once(singles, encoder, batching, world_size, batch_size):
    lengths = measure(singles, encoder)
    parts = shares(singles, lengths, world_size=world_size, batch_size=batch_size, batching=batching)
    batches = [list(part) for part in parts]
    assert {len(share) for share in batches} == {len(parts[0])}
    assert all(batch for share in batches for batch in share)
    tickets = [ticket for share in batches for batch in share for ticket in batch]
    assert sorted(ticket.rows for ticket in tickets if not ticket.filler) == [(row,) for row in range(9)]
    assert sum(ticket.filler for ticket in tickets) < world_size


@pytest.mark.parametrize("batching", ["random", "exact"])
def test_an_optimiser_step_has_the_same_turns_on_any_number_of_processes(singles, encoder, batching):
    lengths = measure(singles, encoder)
    steps = []
    for world_size in (1, 2, 4):
        parts = shares(
            singles, lengths, world_size=world_size, batch_size=1, accumulation=4 // world_size, batching=batching
        )
        micro = [list(part) for part in parts]
        per_step = 4 // world_size
        steps.append(
            [
                {
                    ticket.rows
                    for share in micro
                    for batch in share[start : start + per_step]
                    for ticket in batch
                    if not ticket.filler
                }
                for start in range(0, len(micro[0]), per_step)
            ]
        )
    assert steps[0] == steps[1] == steps[2]


def test_one_process_keeps_the_order_of_the_epoch(singles, encoder):
    [part] = shares(singles, measure(singles, encoder), world_size=1, batch_size=2)
    plan = singles.plan(0)
    assert [ticket.rows for batch in part for ticket in batch] == [plan.ticket(turn).rows for turn in range(9)]


def test_tickets_carry_epoch_and_progress(singles, encoder):
    [part] = shares(singles, measure(singles, encoder), world_size=1, batch_size=3, epochs=2.0)
    assert part.total_steps == 6
    singles.set_epoch(1)
    assert [(ticket.epoch, ticket.progress) for batch in part for ticket in batch[:1]] == [
        (1, pytest.approx(3 / 6)),
        (1, pytest.approx(4 / 6)),
        (1, pytest.approx(5 / 6)),
    ]


def test_the_batches_of_an_epoch_are_planned_once(singles, encoder, monkeypatch):
    [part] = shares(singles, measure(singles, encoder), world_size=1, batch_size=2, batching="grouped")
    planned = []
    measured = part.lengths.epoch
    monkeypatch.setattr(part.lengths, "epoch", lambda *args, **options: planned.append(1) or measured(*args, **options))
    first = list(part)
    assert list(part) == first
    assert len(part.plan(0)) == len(first)
    assert len(planned) == 1
    part.plan(1)
    assert len(planned) == 2


def test_a_batch_that_fills_up_a_step_makes_logits_of_one_position_and_no_gradient(tiny_model):
    shapes = []
    tiny_model.train().lm_head.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    tokens = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    batch = {"input_ids": tokens, "labels": torch.full_like(tokens, -100), "logits_to_keep": 0}  # as upstream adds it
    loss = SealedTrainer.compute_loss(SealedTrainer.__new__(SealedTrainer), tiny_model, batch)
    assert [shape[:2] for shape in shapes] == [(2, 1)]
    loss.backward()
    text = [parameter.grad for parameter in tiny_model.model.language_model.parameters()]
    assert loss.item() == 0.0
    assert all(gradient is not None and not gradient.any() for gradient in text)
