"""Numbers of what is trained: float32 while it is trained, the model's own type where it is saved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qvl.errors import CheckpointError
from qvl.runtime.files import write_json

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["MASTERS_NAME", "Precision", "TrainedWeights"]

CONFIG = "config.json"

MASTERS_NAME = "trained_float32.safetensors"
"""In a checkpoint: the trained weights as the run had them, where the model's own files hold fewer digits."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Types of the numbers of a run, by the names of torch.

    Attributes:
        weights: Of what is not trained.
        trained: Of the weights that the optimiser changes.
        optimizer: Of its state.
        products: Of matrix products.
        saved: Of the trained weights in a checkpoint.
    """

    weights: str
    trained: str
    optimizer: str
    products: str
    saved: str


class TrainedWeights:
    """The weights that are trained, in float32 whatever the model was loaded in.

    A step of 1e-6 is lost in a bfloat16 number of the size of 1e-3 or more, so weights in bfloat16 hardly learn.
    Matrix products are made in bfloat16 all the same, by autocast, which rounds the weights anew for each.
    """

    def __init__(self, model: nn.Module, *, sharded: bool) -> None:
        """Change the trained weights of a prepared model.

        Args:
            model: With its adapter, frozen where it is not trained.
            sharded: Whether DeepSpeed trains it: that keeps float32 copies of its own, and needs the model's weights
                to have one type.
        """
        import torch

        self.model = model
        self.sharded = sharded
        self._own: dict[str, torch.dtype] = {}
        if sharded:
            return
        for name, parameter in self._trained():
            if parameter.dtype != torch.float32:
                self._own[name] = parameter.dtype
                parameter.data = parameter.data.float()
        if self._own:
            _keep_inputs_of_adapters(model)

    @property
    def are_widened(self) -> bool:
        """Whether the model's own type has fewer digits than the weights while they are trained."""
        return bool(self._own)

    def precision(self, *, products: str) -> Precision:
        """Return the types of the numbers of a run.

        Args:
            products: Type of matrix products.
        """
        values = list(self.model.named_parameters())
        frozen = {_name(value.dtype) for _, value in values if not value.requires_grad}
        trained = {_name(value.dtype) for _, value in values if value.requires_grad}
        saved = {_name(self._own.get(name, value.dtype)) for name, value in values if value.requires_grad}
        kept = "float32" if self.sharded else _joined(trained)  # DeepSpeed's own copies
        return Precision(_joined(frozen or saved), kept, kept, products, _joined(saved))

    def as_saved(self, state: Mapping[str, torch.Tensor] | None) -> Mapping[str, torch.Tensor] | None:
        """Return the weights as a checkpoint holds them: each in the type that the model was loaded in.

        Args:
            state: What upstream would save; None for the state of the model.

        Returns:
            None where nothing has to change. Weights that share memory share it in the result too.
        """
        if not self._own:
            return state
        own = {parameter.data_ptr(): self._own[name] for name, parameter in self._trained() if name in self._own}
        narrowed: dict[int, torch.Tensor] = {}
        result = dict(self.model.state_dict() if state is None else state)
        for name, value in result.items():
            if value.data_ptr() in own:
                place = value.data_ptr()
                narrowed.setdefault(place, value.detach().to(own[place]))
                result[name] = narrowed[place]
        return result

    def name_type(self, folder: Path) -> None:
        """Let the configuration that upstream wrote name the type of the saved weights."""
        path = folder / CONFIG
        if self._own and path.is_file():
            config = json.loads(path.read_text(encoding="utf-8"))
            write_json(path, {**config, "dtype": _joined({_name(dtype) for dtype in self._own.values()})})

    def write(self, folder: Path) -> None:
        """Write the float32 weights beside the model's own files, if these hold fewer digits."""
        from safetensors.torch import save_file

        if self._own:
            values = {name: value.detach().contiguous() for name, value in self._trained() if name in self._own}
            save_file(values, folder / MASTERS_NAME)

    def read(self, folder: Path) -> None:
        """Take back what `write` wrote, so that a resumed run goes on with the same bits.

        Raises:
            CheckpointError: The file is missing, or holds other weights than those that are trained.
        """
        from safetensors.torch import load_file

        if not self._own:
            return
        path = folder / MASTERS_NAME
        if not path.is_file():
            raise CheckpointError(
                f"{path}: is not there: the checkpoint was written without float32 weights, so training cannot go on "
                f"from it; start from its weights instead, as model.path={folder} if it is a whole model"
            )
        values = load_file(path)
        targets = {name: value for name, value in self._trained() if name in self._own}
        if values.keys() != targets.keys():
            odd = sorted(values.keys() ^ targets.keys())
            raise CheckpointError(
                f"{path}: holds other weights than are trained here: {odd[0]} and {len(odd) - 1} more"
            )
        for name, target in targets.items():
            target.data.copy_(values[name])

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((name, value) for name, value in self.model.named_parameters() if value.requires_grad)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _joined(names: set[str]) -> str:
    return " and ".join(sorted(names))


def _keep_inputs_of_adapters(model: nn.Module) -> None:
    """Let adapters take their inputs as they are; autocast would turn a float32 copy back to the same bits.

    PEFT makes that copy for every adapter, and it is most of what a step without checkpointing has to hold.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = False
