"""The prompt of a conversation as the engine encodes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from qvl.health import EncodedPrompt

if TYPE_CHECKING:
    from swift.template import Template

    from qvl.conversation import Conversation

__all__ = ["inference_prompt"]


def inference_prompt(
    template: Template, conversation: Conversation, *, pixel_limits: Mapping[str, int]
) -> EncodedPrompt:
    """Encode a conversation as `Engine` does, up to the answer.

    Args:
        template: Chat template of the model; it is left in the mode that it is in.
        conversation: An answer that it holds already is not shown.
        pixel_limits: `min_pixels` and `max_pixels` of training.
    """
    from swift.infer_engine import InferRequest

    messages = [message for message in conversation["messages"] if message["role"] != "assistant"]
    with template.generate_context():
        encoded = template.encode(InferRequest(messages=messages, chat_template_kwargs=dict(pixel_limits)))
    pad = re.escape(template.tokenizer.convert_ids_to_tokens(template.image_token_id))
    text = template.tokenizer.decode(encoded["input_ids"])
    return EncodedPrompt(
        text=re.sub(f"(?:{pad})+", lambda found: template.tokenizer.decode([template.image_token_id]), text),
        input_ids=np.array(encoded["input_ids"], dtype=np.int64),
        pixel_values=encoded["pixel_values"].numpy(),
        grids=encoded["image_grid_thw"].numpy(),
    )
