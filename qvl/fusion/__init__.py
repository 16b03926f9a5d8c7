"""Mixing of data sets: which rows of which source an epoch holds."""

from __future__ import annotations

from qvl.fusion.mixing import ROLES, SourceSpec, draw_rows, quotas

__all__ = ["ROLES", "SourceSpec", "draw_rows", "quotas"]
