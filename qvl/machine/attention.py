"""What the process that loads a model takes of the machine: a device, and an attention."""

from __future__ import annotations

import importlib
import logging
import os
from typing import Final

from hydra_plugins.qvl_torchrun_launcher._machine import VISIBLE, is_none

from qvl.errors import ConfigError

__all__ = ["ATTENTIONS", "FLASH", "HALF", "attention_here", "choose_attention", "has_device"]

ATTENTIONS: Final = ("auto", "sdpa", "flash_attention_2", "eager")
FLASH: Final = "flash_attention_2"
HALF: Final = (8, 0)
"""Compute capability from which on devices have bfloat16 and can run flash attention."""

_log = logging.getLogger(__name__)


def choose_attention(
    asked: str, *, half: bool, capability: tuple[int, int] | None, fault: str | None
) -> tuple[str, str]:
    """Return the attention that is taken, and why where `auto` leaves it open.

    Args:
        asked: One of ATTENTIONS.
        half: Whether it is computed in bfloat16; flash attention knows no float32.
        capability: Compute capability of the device; None without one.
        fault: Why flash-attn cannot be used; None if it can.
    """
    if asked != "auto":
        return asked, ""
    if capability is None:
        return "sdpa", "there is no GPU"
    if not half:
        return "sdpa", "flash attention does not compute in float32"
    if capability < HALF:
        return "sdpa", f"flash attention needs compute capability 8.0, this GPU has {capability[0]}.{capability[1]}"
    return (FLASH, "flash-attn is installed") if fault is None else ("sdpa", fault)


def has_device() -> bool:
    """Return whether this process has a GPU; False means that the CPU was asked for, or that there is none.

    Raises:
        ConfigError: CUDA_VISIBLE_DEVICES names devices, and torch can use none of them.
    """
    import torch

    if torch.cuda.is_available():
        return True
    visible = os.environ.get(VISIBLE)
    if visible is not None and not is_none(visible):
        raise ConfigError(f"{VISIBLE}={visible}: torch {torch.__version__} can use none of them; {VISIBLE}= is the CPU")
    return False


def attention_here(asked: str | None, *, half: bool) -> str | None:
    """Return the attention for a model that this process loads, and log which one `auto` stands for.

    Args:
        asked: One of ATTENTIONS; None for what transformers chooses.
        half: Whether it is computed in bfloat16.

    Raises:
        ConfigError: Flash attention is asked for and cannot be imported.
    """
    import torch

    if asked not in ("auto", FLASH):
        return asked
    capability = torch.cuda.get_device_capability() if has_device() else None
    fault = _fault_of_flash()
    if asked == FLASH and fault:
        raise ConfigError(f"attn_impl: {FLASH} cannot be used: {fault}; take auto or sdpa")
    taken, why = choose_attention(asked, half=half, capability=capability, fault=fault)
    if why:
        _log.info("attention: %s, %s", taken, why)
    return taken


def _fault_of_flash() -> str | None:
    """Return why transformers cannot use flash-attn; a build for another torch shows only when it is imported."""
    from transformers.utils import is_flash_attn_2_available

    if not is_flash_attn_2_available():
        return "flash-attn 2.3.3 or newer is not installed, or there is no GPU"
    try:
        importlib.import_module("flash_attn")
    except ImportError as error:
        return f"flash-attn does not fit this torch ({str(error).splitlines()[0]})"
    return None
