from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from qvl.callbacks import RanksAgree
from qvl.callbacks.ranks import trained_digest
from qvl.errors import HealthError


def model(value=1.0, dtype=torch.float32):
    layer = torch.nn.Linear(3, 2)
    layer.weight.data = torch.arange(6.0).reshape(2, 3).to(dtype) * value
    layer.bias.data = torch.zeros(2, dtype=dtype)
    return layer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_digest_is_that_of_the_trained_bits(dtype):
    changed, frozen = model(dtype=dtype), model(2.0, dtype)
    changed.weight.data[1, 2] = torch.nextafter(changed.weight.data[1, 2], torch.tensor(9.0, dtype=dtype))
    frozen.weight.requires_grad = False
    assert trained_digest(model(dtype=dtype)) == trained_digest(model(dtype=dtype))
    assert trained_digest(changed) != trained_digest(model(dtype=dtype))
    assert len(trained_digest(frozen)) == 2


def on_step_end(step, network, every=2):
    state = SimpleNamespace(global_step=step, max_steps=9)
    RanksAgree(every=every).on_step_end(None, state, None, model=network)


def take_part(rank, port_file, results):
    torch.distributed.init_process_group("gloo", init_method=f"file://{port_file}", rank=rank, world_size=3)
    said = []
    for step, value in ((1, 1.0 + rank), (2, 1.0), (4, 1.0 + (rank == 1)), (9, 1.0 + rank)):
        try:
            on_step_end(step, model(value))
            said.append("")
        except HealthError as error:
            said.append(str(error))
    results.put((rank, said))
    torch.distributed.destroy_process_group()


def test_processes_with_other_weights_stop_together_and_are_named():
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        ranks = [context.Process(target=take_part, args=(rank, Path(folder) / "meet", results)) for rank in range(3)]
        for process in ranks:
            process.start()
        found = dict(results.get(timeout=60) for _ in ranks)
        for process in ranks:
            process.join(timeout=60)
    assert sorted(found) == [0, 1, 2]
    for said in found.values():
        assert [bool(text) for text in said] == [False, False, True, True]
        assert "process 1 are others than those of 2 of 3" in said[2]


def test_one_process_agrees_with_itself():
    on_step_end(2, model())
    on_step_end(2, model(), every=0)
