"""What a tuner makes of a model, counted on its shape alone: no weight is loaded or made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qvl.errors import ConfigError
from qvl.planning import Architecture, Tuning, Weights, known_config, safetensors_bytes
from qvl.runtime.part import BASE
from qvl.training.freezing import ADAPTED, SAVED, component, expected_trainable

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ModelPlan", "load_config", "plan_model"]

_LORA = (".lora_A.", ".lora_B.", ".lora_magnitude_vector.")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelPlan:
    """A model and what is trained of it.

    Attributes:
        architecture: Its shape.
        whole: Shape of every weight of the bare model by name.
        trained: Shape of every weight that is trained, by its name in the tuned model.
        adapter_inputs: Sum of the widths of the inputs of all layers with adapters in the language model.
    """

    architecture: Architecture
    whole: Mapping[str, Shape]
    trained: Mapping[str, Shape]
    adapter_inputs: int

    @property
    def is_adapter(self) -> bool:
        """Whether checkpoints hold what is trained only, as an adapter."""
        return any(name.startswith(ADAPTED) for name in self.trained)

    @property
    def trained_by_part(self) -> dict[str, int]:
        """Trained weights of llm, vit, aligner and adapters; parts of which nothing is trained are left out."""
        counts: dict[str, int] = {}
        for name, shape in self.trained.items():
            part = "adapters" if _is_lora(name) else component(name.removeprefix(ADAPTED))
            counts[part] = counts.get(part, 0) + math.prod(shape)
        return counts

    @property
    def weights(self) -> Weights:
        """Numbers of weights; beside an adapter the originals of trained modules stay."""
        trained = sum(math.prod(shape) for shape in self.trained.values())
        total = sum(math.prod(shape) for shape in self.whole.values())
        matrices = sum(math.prod(shape) for shape in self.trained.values() if len(shape) > 1)
        return Weights(total if self.is_adapter else total - trained, trained, matrices)

    def tuning(self, *, checkpointing: bool) -> Tuning:
        """Return what the arithmetic wants to know."""
        ways: dict[str, Any] = {"llm": "frozen", "vit": "frozen", "aligner": "frozen"}
        adapters = {"llm": 0, "vit": 0, "aligner": 0}
        for name, shape in self.trained.items():
            part = component(name.removeprefix(ADAPTED))
            ways[part] = "lora" if _is_lora(name) else "full"
            adapters[part] += math.prod(shape) if _is_lora(name) else 0
        return Tuning(
            llm=ways["llm"],
            vit=ways["vit"],
            aligner=ways["aligner"] != "frozen",
            adapter_weights=adapters["llm"],
            vit_adapter_weights=adapters["vit"],
            checkpointing=checkpointing,
        )

    def is_part(self, *, save_whole: bool) -> bool:
        """Whether checkpoints hold a part of the model; `save_whole` is `training.save_whole_model`."""
        return not self.is_adapter and not save_whole and len(self.trained) < len(self.whole)

    def weight_file_bytes(self, dtype: str, *, part_of: str | None, sharded: bool = False) -> int:
        """Return the size of the weights of one checkpoint.

        Args:
            dtype: Of the model, bfloat16 or float32; modules that are trained whole are saved in it, adapters in
                float32.
            part_of: Folder or id of the base, if only what is trained is saved, in float32; None for whole models and
                adapters.
            sharded: Whether DeepSpeed trains it: all weights have the type of the model then.
        """
        own = "BF16" if dtype == "bfloat16" else "F32"
        wide = own if sharded else "F32"
        if part_of is not None:
            tensors = {name: (wide, shape) for name, shape in self.trained.items()}
            return safetensors_bytes(tensors, metadata={BASE: part_of})
        if not self.is_adapter:
            tensors = {name: (own, shape) for name, shape in self.whole.items()}
        else:
            tensors = {
                _saved_name(name): (wide if _is_lora(name) else own, shape) for name, shape in self.trained.items()
            }
        return safetensors_bytes(tensors, metadata={"format": "pt"})

    def masters_bytes(self) -> int:
        """Return the size of the float32 weights that lie beside a narrower whole model or adapter."""
        return safetensors_bytes(
            {name: ("F32", shape) for name, shape in self.trained.items() if not _is_lora(name)}, metadata={}
        )


def load_config(path: str) -> dict[str, Any]:
    """Return the config of a model: of its folder, of a published size, or from the hub.

    Args:
        path: Checkpoint folder or hub id.

    Raises:
        ConfigError: There is none.
    """
    if Path(path).is_dir():
        file = Path(path) / "config.json"
    elif (known := known_config(path)) is not None:
        return known
    else:
        file = _from_hub(path)
    if not file.is_file():
        raise ConfigError(f"model.path: {path} has no config.json")
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return config


def plan_model(config: Mapping[str, Any], tuner: Mapping[str, Any]) -> ModelPlan:
    """Count what a tuner trains; the names are those that a run checks.

    Args:
        config: Of a Qwen3-VL, see `load_config`.
        tuner: Keys of the group `tuner`.

    Raises:
        ConfigError: The model is no Qwen3-VL.
        HealthError: The tuner names a module that the model has not.
    """
    try:
        architecture = Architecture.from_config(config)
    except ValueError as error:
        raise ConfigError(f"model.path: {error}") from error
    model = _on_meta(config)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    widths = {name: tuple(module.weight.shape) for name, module in model.named_modules() if _is_linear(module)}
    trained = {
        name: _shape(name, shapes, widths, int(tuner["lora_rank"])) for name in sorted(expected_trainable(model, tuner))
    }
    first = [name for name in trained if ".lora_A." in name and component(name.removeprefix(ADAPTED)) == "llm"]
    return ModelPlan(architecture, shapes, trained, sum(trained[name][-1] for name in first))


def _on_meta(config: Mapping[str, Any]) -> nn.Module:
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.initialization import no_init_weights

    model_type = str(config.get("model_type"))
    with torch.device("meta"), no_init_weights():
        made = AutoConfig.for_model(model_type, **{key: value for key, value in config.items() if key != "model_type"})
        model: nn.Module = AutoModelForImageTextToText.from_config(made)
        model.tie_weights()
    return model


def _is_linear(module: nn.Module) -> bool:
    from torch import nn

    return isinstance(module, nn.Linear)


def _is_lora(name: str) -> bool:
    return any(part in name for part in _LORA)


def _shape(name: str, shapes: Mapping[str, Shape], widths: Mapping[str, Shape], rank: int) -> Shape:
    """Return the shape of a trained weight."""
    if not _is_lora(name):
        return shapes[name.removeprefix(ADAPTED).replace(SAVED, "")]
    part = next(part for part in _LORA if part in name)
    layer = name.removeprefix(ADAPTED).split(part)[0]
    if layer in widths:
        outputs, inputs = widths[layer]
    else:
        experts, inputs, outputs = _experts(layer, shapes)
        rank *= experts
    return {".lora_A.": (rank, inputs), ".lora_B.": (outputs, rank), ".lora_magnitude_vector.": (outputs,)}[part]


def _experts(layer: str, shapes: Mapping[str, Shape]) -> Shape:
    """Return the shape of the weight of all experts that a wrapper stands around; several stand one in another."""
    module = layer.replace(".base_layer", "")
    weights = [shape for name, shape in shapes.items() if name.rpartition(".")[0] == module]
    return weights[layer.count(".base_layer")]


def _saved_name(name: str) -> str:
    """Return the name that PEFT gives a weight in the file of an adapter."""
    if ".lora_magnitude_vector." in name:
        return name.removesuffix(".default.weight")
    return name.replace(SAVED, "").replace(".default.", ".")


def _from_hub(path: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(path, allow_patterns="config.json")) / "config.json"
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise ConfigError(
            f"model.path: the config of {path} cannot be had ({type(error).__name__}): name a folder that holds its "
            f"config.json, or a published size such as Qwen/Qwen3-VL-4B-Instruct"
        ) from error
