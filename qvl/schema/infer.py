"""Keys of `conf/infer.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

__all__ = ["InferConfig"]


@dataclass
class InferModelConfig:
    """Node `model` of `conf/infer.yaml`: where the weights lie."""

    path: str = MISSING
    base: str | None = None


@dataclass
class FormConfig:
    """Node `form` of `conf/infer.yaml`: how pictures are shown and answers written, where the checkpoint tells not."""

    emit_norm: str | None = None
    order: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    side_factor: int | None = None


@dataclass
class InferConfig:
    """Everything that `conf/infer.yaml` and the group `prompts` may hold."""

    model: InferModelConfig = field(default_factory=InferModelConfig)
    prompts: Any = MISSING
    pictures: str = MISSING
    out: str = MISSING
    overwrite: bool = MISSING
    limit: int | None = None
    allowed_roots: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    mode: str | None = None
    form: FormConfig = field(default_factory=FormConfig)
    images_per_turn: int | None = None
    engine: str = MISSING
    torch_dtype: str | None = None
    attn_impl: str | None = None
    max_new_tokens: int = MISSING
    batch_size: int = MISSING
    vllm: dict[str, Any] = field(default_factory=dict)
    trusted_targets: list[str] = field(default_factory=list)
