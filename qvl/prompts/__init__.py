"""Prompt schemes; their texts live in conf/prompts."""

from __future__ import annotations

from qvl.prompts.scheme import PromptScheme

__all__ = ["PromptScheme"]
