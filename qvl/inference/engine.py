"""Answers of a model to conversations, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from qvl.errors import ConfigError, QvlError
from qvl.inference.logprobs import recording, token_ends

if TYPE_CHECKING:
    from swift.template import Template
    from torch import nn

    from qvl.conversation import Conversation

__all__ = ["Answers", "Completion", "Engine", "VllmEngine"]


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: The answer without its end of turn.
        finish_reason: `stop`, or `length` if the limit cut it off.
        prompt_tokens: Length of what was asked, pictures included.
        completion_tokens: Length of the answer with its end of turn.
        token_ends: End of each token of the answer, in characters of `text`; empty if it is not known.
        token_logprobs: Natural logarithm of the probability of each of these tokens; empty like `token_ends`.
    """

    text: str
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    token_ends: tuple[int, ...] = ()
    token_logprobs: tuple[float, ...] = ()


class Answers(Protocol):
    """What answers conversations, whatever computes the tokens."""

    def answers(self, conversations: Sequence[Conversation]) -> Iterator[Completion]:
        """Yield the completion of each conversation, in order; an answer that it holds already is not shown."""


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
        """Yield the completion of each conversation, in order; an answer that it holds already is not shown.

        Raises:
            QvlError: The memory of the device is too small for a batch.
        """
        import torch

        template = self._engine.template
        for start in range(0, len(conversations), self._batch_size):
            batch = conversations[start : start + self._batch_size]
            try:
                with template.generate_context(), recording(template) as recorder:  # back to training afterwards
                    found = _infer(self._engine, batch, self._pixel_limits, self._max_new_tokens)
            except torch.OutOfMemoryError as error:
                raise QvlError(f"the memory of the device is too small for batch_size={self._batch_size}") from error
            logprobs = recorder.logprobs([response.choices[0].token_ids for response in found])
            yield from (_completion(one, template, values) for one, values in zip(found, logprobs, strict=True))


class VllmEngine:
    """Greedy decoding with vLLM, through ms-swift's engine: the same requests, and batches of vLLM's own."""

    def __init__(
        self,
        path: str,
        *,
        model_type: str,
        pixel_limits: Mapping[str, int],
        max_new_tokens: int,
        batch_size: int,
        options: Mapping[str, Any],
    ) -> None:
        """Load a model.

        Args:
            path: Folder of whole weights, or a hub id.
            model_type: Name of the architecture in ms-swift.
            pixel_limits: `min_pixels` and `max_pixels` of training.
            max_new_tokens: Longest answer.
            batch_size: Most conversations at a time.
            options: Further arguments of `swift.infer_engine.VllmEngine`, such as `gpu_memory_utilization`.

        Raises:
            ConfigError: vLLM is not installed, or cannot be imported.
        """
        try:
            import vllm  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                f"engine: vllm cannot be used here ({error}); install qvl[vllm], or choose engine=transformers"
            ) from error
        from swift.infer_engine import VllmEngine as Upstream

        self._engine = Upstream(path, model_type=model_type, use_hf=True, max_num_seqs=batch_size, **options)
        self._pixel_limits = dict(pixel_limits)
        self._max_new_tokens = max_new_tokens

    def answers(self, conversations: Sequence[Conversation]) -> Iterator[Completion]:
        """Yield the completion of each conversation, in order; an answer that it holds already is not shown."""
        found = _infer(self._engine, conversations, self._pixel_limits, self._max_new_tokens, logprobs=True)
        for response in found:
            told = response.choices[0].logprobs or {"content": []}
            yield _completion(response, self._engine.template, [one["logprob"] for one in told["content"]])


def _infer(
    engine: Any,
    conversations: Sequence[Conversation],
    pixel_limits: Mapping[str, int],
    max_new_tokens: int,
    *,
    logprobs: bool = False,
) -> list[Any]:
    """Ask an engine of ms-swift; what is asked does not depend on which one it is."""
    from swift.infer_engine import InferRequest, RequestConfig

    requests = [
        InferRequest(
            messages=[message for message in conversation["messages"] if message["role"] != "assistant"],
            chat_template_kwargs=dict(pixel_limits),
        )
        for conversation in conversations
    ]
    config = RequestConfig(max_tokens=max_new_tokens, temperature=0.0, return_details=True, logprobs=logprobs)
    responses: list[Any] = engine.infer(requests, config, use_tqdm=False)
    return responses


def _completion(response: Any, template: Template, logprobs: Sequence[float]) -> Completion:
    """Return what a response says; `logprobs` are those of its tokens, the end of turn included, or nothing."""
    choice, usage = response.choices[0], response.usage
    text: str = choice.message.content
    told = (choice.finish_reason, usage.prompt_tokens, usage.completion_tokens)
    kept = template.skip_stop_tokens(choice.token_ids)
    ends = token_ends(template.tokenizer.convert_ids_to_tokens(kept), text) if logprobs else ()
    return Completion(text, *told, token_ends=ends, token_logprobs=tuple(logprobs[: len(ends)]))
