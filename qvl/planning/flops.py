"""Floating-point operations of a training step, by part."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from qvl.planning.architecture import Architecture

__all__ = ["Batch", "StepFlops", "Tuning", "device_peak", "step_flops"]

_PEAKS = {
    "A100": 312e12,
    "A800": 312e12,
    "A40": 150e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L40": 181e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H800": 989e12,
    "H200": 989e12,
    "B200": 2250e12,
}
"""Operations a second in bfloat16, dense, by a part of the name; of two that fit the first one holds."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is trained, and how.

    Attributes:
        llm: Whether the language model is left alone, gets adapters, or is trained itself.
        vit: Whether the vision tower runs forward only, gets adapters, or is trained itself.
        aligner: Whether the aligner is trained.
        adapter_weights: Weights of the adapters of the language model.
        vit_adapter_weights: Weights of the adapters of the vision tower.
        checkpointing: Whether the activations of each layer are computed a second time instead of being kept.
    """

    llm: Literal["frozen", "lora", "full"] = "lora"
    vit: Literal["frozen", "lora", "full"] = "frozen"
    aligner: bool = True
    adapter_weights: int = 0
    vit_adapter_weights: int = 0
    checkpointing: bool = False

    @property
    def into_vision(self) -> bool:
        """Whether a gradient goes through the language model to its input."""
        return self.aligner or self.vit != "frozen"


@dataclass(frozen=True, slots=True)
class Batch:
    """What one device computes in one micro step, padding included; numbers add up over batches.

    Attributes:
        tokens: Turns x tokens of the longest.
        token_pairs: Sum over turns of the square of that length.
        labelled: Positions that get logits.
        patches: Patches of all pictures; four make one visual token.
        patch_pairs: Sum over pictures of the square of their patches.
    """

    tokens: float
    token_pairs: float
    labelled: float
    patches: float
    patch_pairs: float

    @classmethod
    def of(cls, turns: int, *, tokens: int, visual: int = 0, pictures: int = 1, labelled: int | None = None) -> Batch:
        """Return a batch of equal turns.

        Args:
            turns: Their number.
            tokens: Tokens of one turn.
            visual: How many of them are visual.
            pictures: Pictures of one turn, all of one size.
            labelled: Positions of one turn that get logits; None: all that are not visual.
        """
        patches = 4 * visual
        return cls(
            tokens=turns * tokens,
            token_pairs=turns * tokens**2,
            labelled=turns * (tokens - visual if labelled is None else labelled),
            patches=turns * patches,
            patch_pairs=turns * patches**2 / max(pictures, 1),
        )


@dataclass(frozen=True, slots=True)
class StepFlops:
    """Operations of one micro step on one device.

    Attributes:
        vit: Of the vision tower.
        aligner: Of the mergers.
        llm: Of the layers of the language model.
        adapters: Of low-rank adapters.
        head: Of the logits.
        recomputed: What checkpointing does a second time; no part of `model`.
    """

    vit: float
    aligner: float
    llm: float
    adapters: float
    head: float
    recomputed: float

    @property
    def model(self) -> float:
        """Operations that training needs, which is what MFU counts."""
        return self.vit + self.aligner + self.llm + self.adapters + self.head

    @property
    def total(self) -> float:
        """Operations that the device does."""
        return self.model + self.recomputed

    def __add__(self, other: StepFlops) -> StepFlops:
        """Return the sum by part."""
        return StepFlops(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))


def step_flops(model: Architecture, batch: Batch, tuning: Tuning) -> StepFlops:
    """Count the multiplications and additions of matrix products and attention; the rest is below one percent.

    A product costs 2 operations a weight and token forward, as many for the gradient of its input and as many for that
    of its weight. So a frozen layer costs two thirds of a trained one, and a frozen tower, which runs forward only, one
    third. Attention looks back only in the language model, which halves it, and costs twice as much backward.

    Args:
        model: Its shape.
        batch: What one device computes; padding is computed like everything else.
        tuning: What is trained.
    """
    text = model.text
    llm = 2.0 * text.active_weights * batch.tokens
    attention = 2.0 * batch.token_pairs * text.queries * text.layers
    adapters = 2.0 * tuning.adapter_weights * batch.tokens
    head = 2.0 * text.hidden * text.vocabulary * batch.labelled
    backward = tuning.llm != "frozen" or tuning.into_vision
    trained = float(tuning.llm == "full")
    vit, vit_adapters, vit_again = _vision_flops(model, batch, tuning)
    layers = llm + attention + adapters
    return StepFlops(
        vit=vit,
        aligner=_aligner_flops(model, batch, tuning),
        llm=llm * (1 + backward + trained) + attention * (1 + 2 * backward),
        adapters=3 * adapters + vit_adapters,
        head=head * (1 + backward + trained),
        recomputed=layers * (tuning.checkpointing and backward) + vit_again,
    )


def _vision_flops(model: Architecture, batch: Batch, tuning: Tuning) -> tuple[float, float, float]:
    """Return operations of the tower, of its adapters, and of what is computed again."""
    vision = model.vision
    blocks = 2.0 * vision.block_weights * batch.patches
    attention = 4.0 * batch.patch_pairs * vision.hidden * vision.layers
    adapters = 2.0 * tuning.vit_adapter_weights * batch.patches
    backward = tuning.vit != "frozen"
    flops = blocks * (1 + backward + (tuning.vit == "full")) + attention * (1 + 2 * backward)
    again = (blocks + attention + adapters) * (tuning.checkpointing and backward)
    return flops, 3 * adapters, again


def _aligner_flops(model: Architecture, batch: Batch, tuning: Tuning) -> float:
    vision = model.vision
    merged = batch.patches / vision.merge * vision.mergers
    first, second = 2.0 * vision.merged**2 * merged, 2.0 * vision.merged * vision.out * merged
    if tuning.vit != "frozen":
        return (first + second) * (2 + tuning.aligner)
    return first * (1 + tuning.aligner) + second * (1 + 2 * tuning.aligner)


def device_peak(name: str) -> float | None:
    """Return the operations a second in bfloat16 that a device is sold with, dense; None for one that is not known.

    Args:
        name: As torch tells it, such as NVIDIA A100-SXM4-80GB.
    """
    return next((peak for part, peak in _PEAKS.items() if all(word in name for word in part.split())), None)
