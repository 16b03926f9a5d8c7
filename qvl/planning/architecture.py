"""The shape of a Qwen3-VL, read from its config: how many weights which part has."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = ["Architecture", "known_config"]

_FOLDER = Path(__file__).parent / "architectures"
_PUBLISHED = re.compile(r"Qwen/Qwen3-VL-([A-Za-z0-9-]+?)(?:-Instruct|-Thinking)?(?:-FP8)?")


def known_config(path: str) -> dict[str, Any] | None:
    """Return the config of a published model by its hub id, so that nothing has to be downloaded; None if unknown.

    Args:
        path: Such as Qwen/Qwen3-VL-4B-Instruct.
    """
    match = _PUBLISHED.fullmatch(path)
    file = _FOLDER / f"qwen3_vl_{match[1].lower().replace('-', '_')}.json" if match else None
    if file is None or not file.is_file():
        return None
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return config


@dataclass(frozen=True)
class Text:
    """The language model.

    Attributes:
        hidden: Width of the stream.
        inner: Width inside the MLP of a layer without experts.
        layers: Number of layers.
        heads: Heads of the queries.
        kv_heads: Heads of keys and values.
        head_size: Width of one head.
        vocabulary: Number of tokens.
        tied: Whether the head is the embedding.
        experts: Experts of a layer; 0 for none.
        experts_per_token: How many of them a token is given to.
        expert_inner: Width inside one expert.
        sparse_layers: Layers with experts.
    """

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    experts: int = 0
    experts_per_token: int = 0
    expert_inner: int = 0
    sparse_layers: int = 0

    @property
    def queries(self) -> int:
        """Width of all queries."""
        return self.heads * self.head_size

    @property
    def keys(self) -> int:
        """Width of all keys; values have the same."""
        return self.kv_heads * self.head_size

    @property
    def attention_weights(self) -> int:
        """Weights of the four matrices of attention in one layer."""
        return self.hidden * (2 * self.queries + 2 * self.keys)

    @property
    def active_weights(self) -> int:
        """Weights that one token is multiplied with in all layers, without the head."""
        dense = (self.layers - self.sparse_layers) * 3 * self.hidden * self.inner
        expert = 3 * self.hidden * self.expert_inner * self.experts_per_token + self.hidden * self.experts
        return self.layers * self.attention_weights + dense + self.sparse_layers * expert

    @property
    def parameters(self) -> int:
        """All weights; a tied head counts once."""
        experts = self.experts * (3 * self.hidden * self.expert_inner + self.hidden)
        dense = (self.layers - self.sparse_layers) * 3 * self.hidden * self.inner
        norms = 2 * self.hidden + 2 * self.head_size
        ends = self.hidden * self.vocabulary * (1 if self.tied else 2) + self.hidden
        return self.layers * (self.attention_weights + norms) + dense + self.sparse_layers * experts + ends


@dataclass(frozen=True)
class Vision:
    """The vision tower and the aligner: four mergers between it and the language model.

    Attributes:
        hidden: Width of the stream of patches.
        inner: Width inside the MLP of a layer.
        layers: Number of layers.
        patch_inputs: Numbers of one patch.
        positions: Learned positions.
        merge: Patches that one visual token is made of.
        mergers: One at the end and one for each layer of deepstack.
        out: Width of the language model.
    """

    hidden: int
    inner: int
    layers: int
    patch_inputs: int
    positions: int
    merge: int
    mergers: int
    out: int

    @property
    def block_weights(self) -> int:
        """Weights that a patch is multiplied with in all layers, and in the embedding."""
        return self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.inner) + self.patch_inputs * self.hidden

    @property
    def parameters(self) -> int:
        """All weights of the tower, without the aligner."""
        biases = self.layers * (9 * self.hidden + self.inner) + self.hidden
        return self.block_weights + biases + self.positions * self.hidden

    @property
    def merged(self) -> int:
        """Width of the patches of one visual token, side by side."""
        return self.merge * self.hidden

    @property
    def aligner_parameters(self) -> int:
        """All weights of the mergers; that at the end normalises patches, the others what is merged."""
        linear = self.merged**2 + self.merged + self.merged * self.out + self.out
        return self.mergers * linear + 2 * self.hidden + (self.mergers - 1) * 2 * self.merged


@dataclass(frozen=True)
class Architecture:
    """A Qwen3-VL."""

    text: Text
    vision: Vision

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Architecture:
        """Read a `config.json`.

        Raises:
            ValueError: It is not that of a Qwen3-VL; the text says which key is missing.
        """
        try:
            return cls(_text(config["text_config"], config), _vision(config["vision_config"]))
        except KeyError as error:
            raise ValueError(f"the config of the model has no {error.args[0]!r}, as that of a Qwen3-VL has") from error

    @cached_property
    def parts(self) -> dict[str, int]:
        """Weights by part: llm (without a head of its own), head, vit, aligner; a tied head has none of its own."""
        head = 0 if self.text.tied else self.text.hidden * self.text.vocabulary
        return {
            "llm": self.text.parameters - head,
            "head": head,
            "vit": self.vision.parameters,
            "aligner": self.vision.aligner_parameters,
        }

    @property
    def parameters(self) -> int:
        """All weights."""
        return sum(self.parts.values())


def _text(text: Mapping[str, Any], config: Mapping[str, Any]) -> Text:
    layers = int(text["num_hidden_layers"])
    experts = int(text.get("num_experts") or text.get("num_local_experts") or 0)
    step, plain = int(text.get("decoder_sparse_step") or 1), text.get("mlp_only_layers") or ()
    sparse = [layer for layer in range(layers) if experts and layer not in plain and (layer + 1) % step == 0]
    return Text(
        hidden=int(text["hidden_size"]),
        inner=int(text["intermediate_size"]),
        layers=layers,
        heads=int(text["num_attention_heads"]),
        kv_heads=int(text["num_key_value_heads"]),
        head_size=int(text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]),
        vocabulary=int(text["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", True))),
        experts=experts,
        experts_per_token=int(text["num_experts_per_tok"]) if experts else 0,
        expert_inner=int(text["moe_intermediate_size"]) if experts else 0,
        sparse_layers=len(sparse),
    )


def _vision(vision: Mapping[str, Any]) -> Vision:
    patch = int(vision["patch_size"]) ** 2 * int(vision["temporal_patch_size"]) * int(vision.get("in_channels", 3))
    return Vision(
        hidden=int(vision["hidden_size"]),
        inner=int(vision["intermediate_size"]),
        layers=int(vision["depth"]),
        patch_inputs=patch,
        positions=int(vision["num_position_embeddings"]),
        merge=int(vision["spatial_merge_size"]) ** 2,
        mergers=1 + len(vision["deepstack_visual_indexes"]),
        out=int(vision["out_hidden_size"]),
    )
