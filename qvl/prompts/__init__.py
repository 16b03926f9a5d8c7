"""Prompt schemes and domain packs; their texts live in conf/prompts."""

from __future__ import annotations

from qvl.prompts.domain import DomainPack
from qvl.prompts.scheme import PromptScheme

__all__ = ["DomainPack", "PromptScheme"]
