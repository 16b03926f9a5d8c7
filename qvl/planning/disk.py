"""Sizes of the files that a run writes."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["optimizer_bytes", "safetensors_bytes", "tokenizer_bytes"]

_WIDTHS = {"F32": 4, "BF16": 2}
_TOKENIZER = 100  # bytes of a token in the files of a tokenizer: its text, its merge and its number


def safetensors_bytes(tensors: Mapping[str, tuple[str, tuple[int, ...]]], *, metadata: Mapping[str, str]) -> int:
    """Return the size of a safetensors file, to the byte.

    Args:
        tensors: Name to (F32 or BF16, shape).
        metadata: What the file says of itself; empty for nothing.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in sorted(tensors, key=lambda name: (-_WIDTHS[tensors[name][0]], name)):
        dtype, shape = tensors[name]
        start, end = end, end + _WIDTHS[dtype] * _size(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return 8 + -(-len(text) // 8) * 8 + end


def optimizer_bytes(trained: int, *, zero: int) -> int:
    """Return the size of what a run goes on from, besides its weights: AdamW's numbers, with DeepSpeed the masters too.

    Args:
        trained: Weights that are trained.
        zero: Stage of ZeRO; 0 without DeepSpeed.
    """
    return trained * (12 if zero else 8)


def tokenizer_bytes(vocabulary: int) -> int:
    """Return about how much a tokenizer takes, which lies in every checkpoint."""
    return _TOKENIZER * vocabulary


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
