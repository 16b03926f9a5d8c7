"""Keys and types of `conf/report.yaml`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

__all__ = ["ReportConfig"]


@dataclass
class ReportConfig:
    """Everything that `conf/report.yaml` may hold."""

    sweep: str = MISSING
    out: str | None = None
    metric: str = MISSING
    better: str | None = None
