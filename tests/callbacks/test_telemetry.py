"""Speed and waste of a training, from counts that are fed in."""

from __future__ import annotations

import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from qvl.callbacks import FIGURES, MicroBatch, Telemetry, telemetry
from qvl.callbacks.telemetry import Share, figures
from qvl.planning import device_peak


class Clock:
    def __init__(self) -> None:
        self.now = 10.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(telemetry, "time", clock)
    return clock


def sample(tokens: int, *, prompt: int, grids: list[tuple[int, int, int]] | None = None) -> dict[str, object]:
    encoded = {"input_ids": [1] * tokens, "labels": [-100] * prompt + [1] * (tokens - prompt)}
    return encoded | ({"image_grid_thw": torch.tensor(grids)} if grids else {})


def test_a_batch_is_counted_with_its_padding_and_its_fillers():
    samples = [sample(10, prompt=4, grids=[(1, 2, 2), (1, 4, 2)]), sample(6, prompt=5), sample(8, prompt=8)]
    counts = MicroBatch.of(samples, [2, 1, 0], width=12)  # the last one fills up a step
    assert counts == MicroBatch(
        rows=3,
        samples=2,
        tokens=16,
        padded=36,
        token_pairs=3 * 144,
        labelled=3 * 8,
        patches=12,
        patch_pairs=16 + 64,
    )
    assert counts + MicroBatch(rows=1, padded=4) == MicroBatch(4, 2, 16, 40, 432, 24, 12, 80)


def test_a_process_that_waits_for_longer_turns_wastes_what_it_could_have_computed():
    even = Share(MicroBatch(samples=4, tokens=80), padded=[50, 50], seconds=2.0, waited=0.1)
    short = Share(MicroBatch(samples=4, tokens=40), padded=[10, 30], seconds=1.9, waited=0.5, peak_memory=3_000_000_000)
    values = figures([even, short], flops=lambda work: 10.0 * work.tokens, peak=1000.0)
    assert values == pytest.approx(
        {
            "samples_per_second": 4.0,
            "tokens_per_second": 60.0,
            "useful_share": 120 / 200,
            "data_wait_share": 0.25,
            "mfu": 1200 / (2.0 * 1000 * 2),
            "peak_memory_gb": 3.0,
        }
    )
    assert tuple(values) == FIGURES


def test_what_is_not_known_is_left_out():
    share = Share(MicroBatch(samples=1, tokens=5), padded=[5], seconds=1.0)
    assert not {"mfu", "peak_memory_gb"} & figures([share], flops=lambda work: 1.0).keys()
    assert figures([Share()]) == {}


def test_time_of_steps_is_counted_without_evaluations_and_checkpoints(clock):
    callback, moment = Telemetry(), (TrainingArguments(output_dir="x"), TrainerState(), TrainerControl())
    callback.on_train_begin(*moment)

    def slow():
        for _ in range(2):
            clock.now += 1.0
            yield "batch"

    for wasted in (callback.on_evaluate, callback.on_save):
        for _ in callback.timed(slow()):
            callback.count(MicroBatch(samples=1, tokens=8, padded=10))
            clock.now += 3.0
        callback.on_step_end(*moment)
        clock.now += 100.0
        wasted(*moment)
    first = callback.report()
    assert first == pytest.approx(
        {"samples_per_second": 0.25, "tokens_per_second": 2.0, "useful_share": 0.8, "data_wait_share": 0.25}
    )
    assert callback.report() == {}
    callback.count(MicroBatch(samples=4, tokens=10, padded=10))
    clock.now += 16.0
    callback.on_step_end(*moment)
    assert callback.report()["samples_per_second"] == 0.25
    whole = callback.report_all()
    assert whole["samples_per_second"] == 8 / 32
    assert whole["useful_share"] == 42 / 50


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("CPU", None),
    ],
)
def test_peaks_are_known_by_the_name_of_the_device(name, peak):
    assert device_peak(name) == peak
