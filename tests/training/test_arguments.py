from __future__ import annotations

import pytest

from qvl.errors import ConfigError
from qvl.training import grow_segments
from qvl.training.arguments import accumulation_steps, loader_workers


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


@pytest.mark.parametrize(
    ("cpus", "gpu", "workers"),
    [
        (8, True, 4),  # 64 processors, 8 GPUs
        (3, True, 2),  # one is left for the training
        (1, True, 0),
        (64, False, 0),  # the model needs them
    ],
)
def test_processes_that_load_data_follow_from_the_processors(cpus, gpu, workers):
    assert loader_workers(cpus, gpu=gpu) == workers


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({}, {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}),
        ({"PYTORCH_ALLOC_CONF": "backend:native"}, {"PYTORCH_ALLOC_CONF": "backend:native"}),
        ({"PYTORCH_CUDA_ALLOC_CONF": "backend:native"}, {"PYTORCH_CUDA_ALLOC_CONF": "backend:native"}),
    ],
)
def test_segments_of_gpu_memory_grow_unless_the_user_chose(given, settings):
    environ = dict(given)
    grow_segments(environ)
    assert environ == settings
