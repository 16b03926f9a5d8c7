"""All processes of a run hold the same trained weights."""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qvl.errors import HealthError
from qvl.runtime.distributed import gathered

__all__ = ["RanksAgree", "trained_digest"]

_SAME_WIDTH = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class RanksAgree(TrainerCallback):
    """Compares the trained weights of all processes every few steps and after the last one.

    Processes that do not add up their gradients go on without an error, each with a model of its own.
    """

    def __init__(self, *, every: int) -> None:
        """Say how often.

        Args:
            every: Optimiser steps between two comparisons; 0 for none at all.
        """
        self.every = every

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: object,
    ) -> None:
        """Compare them if it is time.

        Raises:
            HealthError: In all processes; the text names those that differ from most others.
        """
        step = state.global_step
        if model is None or not self.every or (step % self.every and step < state.max_steps):
            return
        digests = gathered(trained_digest(model))
        common, count = Counter(digests).most_common(1)[0]
        if count < len(digests):
            others = [str(rank) for rank, digest in enumerate(digests) if digest != common]
            raise HealthError(
                f"after step {step} the trained weights of process {', '.join(others)} are others than those of "
                f"{count} of {len(digests)} processes; checkpoints after step {step - self.every} cannot be trusted"
            )


def trained_digest(model: nn.Module) -> tuple[int, ...]:
    """Return numbers that are the same for the same trained weights, and for others by an accident only.

    They are sums of the bits of each weight, as integers: exact, whatever the order, and made on the device, where
    a hash would have to copy all weights to the host.
    """
    sums = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            bits = parameter.detach().reshape(-1).view(_SAME_WIDTH[parameter.element_size()])
            sums += [bits.sum(dtype=torch.int64), bits[::3].sum(dtype=torch.int64)]
    return tuple(torch.stack(sums).tolist()) if sums else ()
