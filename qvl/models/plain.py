"""A prompt as transformers alone encodes it, without ms-swift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from qvl.conversation import Message
from qvl.data import TurnFormat
from qvl.health import EncodedPrompt

__all__ = ["PlainPrompt", "plain_prompt", "resize_difference"]


@dataclass(frozen=True, slots=True)
class PlainPrompt:
    """A prompt, and what a model takes.

    Attributes:
        encoded: For comparison.
        inputs: Tensors for the forward pass: `input_ids`, `attention_mask`, `pixel_values`, ...
    """

    encoded: EncodedPrompt
    inputs: Mapping[str, Any]


def plain_prompt(processor: Any, messages: Sequence[Message], form: TurnFormat) -> PlainPrompt:
    """Encode messages with the processor of a model folder, up to the answer.

    Pictures are brought to their size here, by the filter of Pillow, as training does; the processor's own resize
    differs by a level of grey in some pixels, see `resize_difference`.

    Args:
        processor: Of `AutoProcessor`.
        messages: Pictures stand in the content parts, as RGB pictures; an answer is left out.
        form: How pictures are shown.
    """
    asked = [message for message in messages if message["role"] != "assistant"]
    pictures = [_to_size(picture, form) for picture in _pictures(asked)]
    text = processor.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    inputs = processor(text=[text], images=pictures, do_resize=False, return_tensors="pt")
    encoded = EncodedPrompt(
        text=text,
        input_ids=inputs["input_ids"][0].numpy(),
        pixel_values=inputs["pixel_values"].numpy(),
        grids=inputs["image_grid_thw"].numpy(),
    )
    return PlainPrompt(encoded, inputs)


def resize_difference(processor: Any, messages: Sequence[Message], form: TurnFormat) -> float:
    """Return by how many levels of grey, 0..255, pixels differ at most where the processor resizes by itself."""
    image_processor = processor.image_processor
    limits = {"shortest_edge": form.min_pixels, "longest_edge": form.max_pixels}
    most = 0.0
    for picture in _pictures(messages):
        ours = image_processor(images=[_to_size(picture, form)], do_resize=False, return_tensors="np")
        theirs = image_processor(images=[picture], size=limits, return_tensors="np")
        difference = np.abs(ours["pixel_values"] - theirs["pixel_values"]).max()
        levels = float(max(image_processor.image_std)) / image_processor.rescale_factor
        most = max(most, float(difference) * levels)
    return most


def _pictures(messages: Sequence[Message]) -> list[Image.Image]:
    contents = [message["content"] for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [part["image"] for part in parts if part["type"] == "image"]


def _to_size(picture: Image.Image, form: TurnFormat) -> Image.Image:
    return picture.resize(form.model_size(*picture.size))
