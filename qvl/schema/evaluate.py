"""Keys of `conf/evaluate.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from qvl.schema.infer import AskConfig, AskedModelConfig

__all__ = ["EvaluateConfig"]


@dataclass
class EvaluateConfig(AskConfig):
    """Everything that `conf/evaluate.yaml` and the group `prompts` may hold."""

    predictions: str | None = None
    truth: str | None = None
    against: str | None = None
    out: str | None = None
    model: AskedModelConfig = field(default_factory=AskedModelConfig)
    pictures: str | None = None
    line_tolerance: float = MISSING
    average_precision: list[str] = field(default_factory=list)
    level: float = MISSING
    num_resamples: int = MISSING
    seed: int = MISSING
    num_samples: int = MISSING
