"""The prompt of a turn as training encodes it."""

from __future__ import annotations

import numpy as np

from qvl.data import Turn
from qvl.health import IGNORED, EncodedPrompt
from qvl.training.encoding import ConversationEncoder

__all__ = ["training_prompt"]


def training_prompt(encoder: ConversationEncoder, turn: Turn) -> EncodedPrompt:
    """Encode a turn with its answer and return what stands in front of the answer.

    Args:
        encoder: In training mode; not raw, so that pixels are those that the model gets.
        turn: With pictures.

    Raises:
        HealthError: A health check of training fails.
    """
    with encoder.without_limit():
        encoded = encoder.encode(turn, check=True)
    labels = encoded["labels"]
    begin = next(number for number, label in enumerate(labels) if label != IGNORED)
    tokens = encoded["input_ids"][:begin]
    pad = encoder.template.tokenizer.convert_ids_to_tokens(encoder.template.image_token_id)
    return EncodedPrompt(
        text=_one_pad_each(encoder.template.tokenizer.decode(tokens), pad),
        input_ids=np.array(tokens, dtype=np.int64),
        pixel_values=encoded["pixel_values"].numpy(),
        grids=encoded["image_grid_thw"].numpy(),
    )


def _one_pad_each(text: str, pad: str) -> str:
    while pad + pad in text:
        text = text.replace(pad + pad, pad)
    return text
