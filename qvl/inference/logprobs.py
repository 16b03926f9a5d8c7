"""Log-probabilities of the tokens of an answer, and where in its text the tokens end."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from swift.template import Template
    from torch import Tensor

__all__ = ["Recorder", "recording", "token_ends"]

_SHOWN: Final = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN: Final = [byte for byte in range(0x100) if byte not in _SHOWN]
_BYTES: Final = {chr(byte): byte for byte in _SHOWN} | {chr(0x100 + slot): byte for slot, byte in enumerate(_HIDDEN)}
"""The byte that a character of a byte-level token stands for, as GPT-2 has begun it."""


class Recorder:
    """A logits processor that changes nothing and notes the log-probability of the most probable token of each step.

    Two numbers a step and answer are kept, and nothing waits for the device before they are asked for.
    """

    def __init__(self) -> None:
        """Begin without steps."""
        self._tokens: list[Tensor] = []
        self._logprobs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Note a step.

        Args:
            input_ids: (answers, tokens so far), not looked at.
            scores: (answers, vocabulary), what the next tokens are chosen from.
        """
        tokens = scores.argmax(dim=-1, keepdim=True)  # as greedy decoding does, also where two are equal
        self._tokens.append(tokens.squeeze(-1))
        self._logprobs.append(scores.gather(-1, tokens).squeeze(-1) - scores.logsumexp(dim=-1))
        return scores

    def logprobs(self, answers: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
        """Return the natural logarithms of the probabilities of the tokens of each answer of the batch.

        Args:
            answers: Ids of the tokens, the end of turn included. For an answer of other tokens than were most probable
                nothing is known, and its tuple is empty.
        """
        import torch

        if not self._tokens or len(answers) != len(self._tokens[0]):
            return [()] * len(answers)
        chosen: list[list[int]] = torch.stack(self._tokens, dim=1).tolist()
        values: list[list[float]] = torch.stack(self._logprobs, dim=1).tolist()
        return [
            tuple(value[: len(ids)]) if found[: len(ids)] == list(ids) else ()
            for ids, found, value in zip(answers, chosen, values, strict=True)
        ]


@contextmanager
def recording(template: Template) -> Iterator[Recorder]:
    """Record what the template generates in the block.

    ms-swift calls `generate` of the template with arguments of its own, and its way to log-probabilities keeps the
    logits of all steps, which is a gigabyte for a batch of long answers.
    """
    from transformers.integrations import is_deepspeed_zero3_enabled

    recorder = Recorder()
    members: dict[str, Any] = vars(template)
    generate = partial(template.generate, logits_processor=[recorder])
    members["generate"] = partial(_without_inference_mode, generate) if is_deepspeed_zero3_enabled() else generate
    try:
        yield recorder
    finally:
        del members["generate"]


def _without_inference_mode(generate: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Generate so that training can go on: weights that ZeRO-3 collects in inference mode cannot be trained later."""
    import torch

    with torch.inference_mode(mode=False), torch.no_grad():
        return generate(*args, **kwargs)


def token_ends(tokens: Sequence[str | None], text: str) -> tuple[int, ...]:
    """Return where each token of a byte-level tokenizer ends in its text; empty if this is not their text.

    Args:
        tokens: As the vocabulary writes them; None for an id that it does not know, which is no text.
        text: What they were decoded to.

    Returns:
        Characters of `text` that are complete after each token, so that of the tokens of one character the last has it.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    pieces = [decoder.decode(_to_bytes(token or "")) for token in tokens]
    ends = tuple(accumulate(map(len, pieces)))
    return ends if "".join(pieces) + decoder.decode(b"", final=True) == text else ()


def _to_bytes(token: str) -> bytes:
    known = [_BYTES.get(character) for character in token]
    found = bytes(byte for byte in known if byte is not None)
    return found if len(found) == len(token) else token.encode()  # a special token stands for itself
