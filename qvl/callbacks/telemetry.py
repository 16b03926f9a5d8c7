"""How fast a training is and where its time goes: counted in the data workers, added up once a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qvl.runtime.distributed import gathered

__all__ = ["FIGURES", "MicroBatch", "Share", "Telemetry", "figures"]

Item = TypeVar("Item")

FIGURES = ("samples_per_second", "tokens_per_second", "useful_share", "data_wait_share", "mfu", "peak_memory_gb")
"""Names in the log, in this order; what is not known is left out."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What one device computes in one micro step; numbers add up over batches.

    Attributes:
        rows: Rows that are trained on.
        samples: User turns that are trained on: those that fill up a step are none.
        tokens: Of these turns.
        padded: Turns x tokens of the longest, fillers too.
        token_pairs: Sum over turns of the square of that length.
        labelled: Positions that get logits: from the first trained token of the batch on.
        patches: Patches of all pictures.
        patch_pairs: Sum over pictures of the square of their patches.
    """

    rows: int = 0
    samples: int = 0
    tokens: int = 0
    padded: int = 0
    token_pairs: int = 0
    labelled: int = 0
    patches: int = 0
    patch_pairs: int = 0

    @classmethod
    def of(cls, samples: Sequence[Mapping[str, Any]], rows: Sequence[int], *, width: int) -> MicroBatch:
        """Count a batch, on the CPU.

        Args:
            samples: Encoded turns with `input_ids`, `labels` and, with pictures, `image_grid_thw`.
            rows: Rows of each of them; 0 for one that only fills up a step.
            width: Tokens of each turn after padding.
        """
        lengths = [len(sample["input_ids"]) for sample in samples]
        counted = [length for length, count in zip(lengths, rows, strict=True) if count]
        first = min((_first_trained(sample["labels"]) for sample in samples), default=0)
        grids = [grid for sample in samples for grid in _grids(sample)]
        return cls(
            rows=sum(rows),
            samples=len(counted),
            tokens=sum(counted),
            padded=len(samples) * width,
            token_pairs=len(samples) * width**2,
            labelled=len(samples) * (width - min(first, width)),
            patches=sum(frames * area for frames, area in grids),
            patch_pairs=sum(frames * area**2 for frames, area in grids),
        )

    def __add__(self, other: MicroBatch) -> MicroBatch:
        """Return the sums."""
        return MicroBatch(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))


def _first_trained(labels: Sequence[int]) -> int:
    return next((place for place, label in enumerate(labels) if label >= 0), len(labels))


def _grids(sample: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return frames and patches of a frame of every picture."""
    grids = sample.get("image_grid_thw")
    return [] if grids is None else [(frames, rows * columns) for frames, rows, columns in grids.tolist()]


@dataclass(slots=True)
class Share:
    """What one process did over some time.

    Attributes:
        work: Of all micro batches.
        padded: Padded tokens of every optimiser step.
        seconds: Time of these steps, without evaluations and saving.
        waited: How much of it went by until the next batch was there.
        peak_memory: The most bytes on the device since the start of the process; None without one.
    """

    work: MicroBatch = field(default_factory=MicroBatch)
    padded: list[int] = field(default_factory=list)
    seconds: float = 0.0
    waited: float = 0.0
    peak_memory: int | None = None

    def add(self, other: Share) -> None:
        """Take in what came after."""
        self.work += other.work
        self.padded += other.padded
        self.seconds += other.seconds
        self.waited += other.waited
        self.peak_memory = other.peak_memory


def figures(
    shares: Sequence[Share], *, flops: Callable[[MicroBatch], float] | None = None, peak: float | None = None
) -> dict[str, float]:
    """Return what a log tells of the processes of a training together.

    The useful share is that of real tokens in all that the devices could have computed: in every optimiser step each
    has as long as the one with the most padded tokens takes. Waiting for data is that of the process that waits most.

    Args:
        shares: One of each process, of the same steps.
        flops: Operations that a model needs for some work; linear in its numbers.
        peak: Operations a second of one device; without it, and without `flops`, there is no MFU.

    Returns:
        Values of `FIGURES`; empty if nothing was done.
    """
    seconds = max(share.seconds for share in shares)
    work = sum((share.work for share in shares), MicroBatch())
    most = sum(max(step) for step in zip(*(share.padded for share in shares), strict=True))
    if seconds <= 0 or not most:
        return {}
    values = {
        "samples_per_second": work.samples / seconds,
        "tokens_per_second": work.tokens / seconds,
        "useful_share": work.tokens / (most * len(shares)),
        "data_wait_share": max(share.waited for share in shares) / seconds,
    }
    if flops is not None and peak is not None:
        values["mfu"] = flops(work) / (seconds * peak * len(shares))
    memory = [share.peak_memory for share in shares if share.peak_memory is not None]
    return values | ({"peak_memory_gb": max(memory) / 1e9} if memory else {})


class Telemetry(TrainerCallback):
    """Counts micro batches and the time of the steps; the trainer puts `report()` into its log.

    Nothing here waits for a device: counts come with the batches, from the processes that load them. The time of an
    evaluation or a checkpoint belongs to no step, and neither does the step before it up to when the device is done.
    """

    def __init__(self, *, flops: Callable[[MicroBatch], float] | None = None, peak: float | None = None) -> None:
        """Say what MFU is made of.

        Args:
            flops: See `figures`.
            peak: See `figures`.
        """
        self.flops, self.peak = flops, peak
        self._now, self._whole = Share(), Share()
        self._step = 0
        self._mark = time.perf_counter()

    def timed(self, batches: Iterator[Item]) -> Iterator[Item]:
        """Yield from an iterator, and count the time that it takes."""
        while True:
            begin = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._now.waited += time.perf_counter() - begin
            yield batch

    def count(self, batch: MicroBatch) -> None:
        """Take in a micro step."""
        self._now.work += batch
        self._step += batch.padded

    def report(self) -> dict[str, float]:
        """Return the figures of the steps since the last report; all processes have to call it."""
        now, self._now = self._now, Share()
        now.peak_memory = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None
        self._whole.add(now)
        return figures(gathered(now), flops=self.flops, peak=self.peak)

    def report_all(self) -> dict[str, float]:
        """Return the figures of all steps of this start; all processes have to call it."""
        self.report()
        return figures(gathered(self._whole), flops=self.flops, peak=self.peak)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start the clock."""
        self._mark = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Count the time since the step before."""
        self._now.padded.append(self._step)
        self._step = 0
        before, self._mark = self._mark, time.perf_counter()
        self._now.seconds += self._mark - before

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Leave out the time of the evaluation."""
        self._mark = time.perf_counter()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Leave out the time of the checkpoint."""
        self._mark = time.perf_counter()
