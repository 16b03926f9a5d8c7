from __future__ import annotations

import pytest

from qvl.errors import ConfigError
from qvl.training.arguments import accumulation_steps, check_liger


@pytest.mark.parametrize(
    ("effective", "per_device", "world", "steps"),
    [(32, 2, 8, 2), (32, 2, 1, 16), (8, 8, 1, 1), (64, 1, 8, 8)],
)
def test_accumulation_follows_from_the_effective_batch(effective, per_device, world, steps):
    assert accumulation_steps(effective, per_device, world) == steps


@pytest.mark.parametrize(("effective", "per_device", "world"), [(32, 3, 8), (8, 2, 8), (1, 2, 1)])
def test_an_impossible_batch_is_an_error_that_names_possible_ones(effective, per_device, world):
    with pytest.raises(ConfigError) as error:
        accumulation_steps(effective, per_device, world)
    nearby = [int(word) for word in str(error.value).rpartition(": ")[2].split(", ")]
    assert all(accumulation_steps(size, per_device, world) for size in nearby)


def test_every_extra_argument_is_one_of_upstream_and_has_no_key_of_its_own():
    import dataclasses

    from swift.arguments import SftArguments

    from qvl.schema import EXTRA, TrainConfig, TrainingConfig

    assert EXTRA.keys() <= {field.name for field in dataclasses.fields(SftArguments)}
    own = {field.name for group in (TrainConfig, TrainingConfig) for field in dataclasses.fields(group)}
    assert not EXTRA.keys() & own


def test_liger_kernels_without_a_gpu_are_refused(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_liger(wanted=False)
    with pytest.raises(ConfigError, match=r"training\.use_liger_kernel: its Triton kernels need a GPU"):
        check_liger(wanted=True)


def test_liger_kernels_without_their_package_are_refused(monkeypatch):
    import importlib.util

    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install liger-kernel"):
        check_liger(wanted=True)
