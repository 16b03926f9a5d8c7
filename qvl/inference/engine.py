"""Answers of a model to conversations, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swift.template import Template
    from torch import nn

    from qvl.conversation import Conversation

__all__ = ["Completion", "Engine"]


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: The answer without its end of turn.
        finish_reason: `stop`, or `length` if the limit cut it off.
    """

    text: str
    finish_reason: str


class Engine:
    """Greedy decoding with a loaded model, through ms-swift's engine and the template of training."""

    def __init__(
        self,
        model: nn.Module,
        template: Template,
        *,
        pixel_limits: Mapping[str, int],
        max_new_tokens: int,
        batch_size: int,
    ) -> None:
        """Wrap a model that is in memory.

        Args:
            model: Qwen3-VL, with or without an adapter.
            template: Its chat template.
            pixel_limits: `min_pixels` and `max_pixels` of training.
            max_new_tokens: Longest answer.
            batch_size: Conversations at a time, padded on the left.
        """
        from swift.infer_engine import TransformersEngine

        self._engine = TransformersEngine(model, template=template, max_batch_size=batch_size)
        self._pixel_limits = dict(pixel_limits)
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size

    def answers(self, conversations: Sequence[Conversation]) -> Iterator[Completion]:
        """Yield the completion of each conversation, in order; an answer that it holds already is not shown."""
        from swift.infer_engine import InferRequest, RequestConfig

        config = RequestConfig(max_tokens=self._max_new_tokens, temperature=0.0)
        for start in range(0, len(conversations), self._batch_size):
            requests = [
                InferRequest(
                    messages=[message for message in conversation["messages"] if message["role"] != "assistant"],
                    chat_template_kwargs=dict(self._pixel_limits),
                )
                for conversation in conversations[start : start + self._batch_size]
            ]
            with self._engine.template.generate_context():  # back to the mode of training afterwards
                responses = self._engine.infer(requests, config, use_tqdm=False)
            for response in responses:
                choice = response.choices[0]
                yield Completion(choice.message.content, choice.finish_reason)
