"""Keys of `conf/infer.yaml`, and those that it shares with `conf/evaluate.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

__all__ = ["AskConfig", "AskedModelConfig", "InferConfig"]


@dataclass
class AskedModelConfig:
    """Node `model` of a verb that asks one: where the weights lie."""

    path: str | None = None
    base: str | None = None


@dataclass
class FormConfig:
    """Node `form`: how pictures are shown and answers written, where the checkpoint tells not."""

    emit_norm: str | None = None
    order: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    side_factor: int | None = None


@dataclass
class AskConfig:
    """What a verb that asks a model has to know, see `qvl.answering`."""

    prompts: Any = MISSING
    overwrite: bool = MISSING
    limit: int | None = None
    allowed_roots: list[str] = field(default_factory=list)
    mode: str | None = None
    form: FormConfig = field(default_factory=FormConfig)
    images_per_turn: int | None = None
    engine: str = MISSING
    torch_dtype: str | None = None
    attn_impl: str | None = None
    device_map: str | None = None
    max_new_tokens: int = MISSING
    batch_size: int = MISSING
    vllm: dict[str, Any] = field(default_factory=dict)
    trusted_targets: list[str] = field(default_factory=list)


@dataclass
class InferModelConfig(AskedModelConfig):
    """Node `model` of `conf/infer.yaml`."""

    path: str = MISSING


@dataclass
class InferConfig(AskConfig):
    """Everything that `conf/infer.yaml` and the group `prompts` may hold."""

    model: InferModelConfig = field(default_factory=InferModelConfig)
    pictures: str = MISSING
    out: str = MISSING
    labels: dict[str, str] = field(default_factory=dict)
