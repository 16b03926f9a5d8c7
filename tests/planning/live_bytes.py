"""What tensors take while something runs, counted storage by storage; nothing needs to be there but their shapes."""

from __future__ import annotations

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, real or fake, from when they are made until they go."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: dict[int, weakref.finalize] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        inside = {id_of(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and id_of(leaf) not in inside:
                self._add(leaf.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._seen and self._seen[key].alive:
            return
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        self._seen[key] = weakref.finalize(storage, self._drop, size)

    def _drop(self, size: int) -> None:
        self.now -= size

    def reset(self) -> None:
        self.peak = self.now


def id_of(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


def as_fakes(model: torch.nn.Module) -> torch.nn.Module:
    """Turn the weights of a model on the meta device into fakes of the CPU; enter `fakes` of its base to run it."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    done: dict[int, torch.nn.Parameter] = {}

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")

    with fakes:
        for module in model.modules():
            for name, old in module._parameters.items():
                if old is not None:
                    new = done.setdefault(id(old), torch.nn.Parameter(fake(old), requires_grad=old.requires_grad))
                    module._parameters[name] = new
            for name, old in module._buffers.items():
                module._buffers[name] = None if old is None else fake(old)
    model.base_model.model.fakes = fakes
    return model
