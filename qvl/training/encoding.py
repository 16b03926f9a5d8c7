"""From conversations to model inputs, with the health of every sample in view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qvl.conversation import Conversation, TokenCounter, parse_answer
from qvl.data import Ticket, Turn, TurnDataset, TurnFormat
from qvl.errors import HealthError
from qvl.health import IGNORED, EncodedSample, GroundedObject, check_chat, run_checks
from qvl.training.patches import raw_patches, share_pictures

if TYPE_CHECKING:
    from swift.template import StdTemplateInputs, Template

__all__ = ["ConversationEncoder", "EncodedDataset"]

_TEMPLATE_GRID = 1000


@dataclass(frozen=True)
class ConversationEncoder:
    """The chat template of a model, with what it is asked to encode.

    Attributes:
        template: ms-swift's template in training mode.
        form: How pictures are shown and answers written.
        raw: Whether pixels travel as uint8 and are normalised on the device, see `qvl.training.patches`.
    """

    template: Template
    form: TurnFormat
    raw: bool = False

    @cached_property
    def _count(self) -> TokenCounter:
        return TokenCounter(self.template.tokenizer)

    def encode(self, turn: Turn, *, check: bool) -> dict[str, Any]:
        """Return `input_ids`, `labels`, `pixel_values`, `image_grid_thw`, `length`, ... of one turn.

        Args:
            turn: Pictures and messages.
            check: Whether to run the health checks on the result.

        Raises:
            HealthError: A check failed.
        """
        inputs: dict[str, Any] = {"messages": share_pictures(turn.inputs["messages"])}  # the pictures stand there
        if turn.pictures:
            inputs["chat_template_kwargs"] = self.form.pixel_limits
        if turn.mode == "dense":
            inputs["objects"] = turn.inputs["objects"]
        with raw_patches(self.template) if self.raw else nullcontext():
            encoded = dict(self.template.encode(inputs, return_length=True, return_template_inputs=check))
        if check:
            self._check(turn, encoded, encoded.pop("template_inputs"))
        return encoded

    @contextmanager
    def without_limit(self) -> Iterator[None]:
        """Let turns of any length pass for a while."""
        limit, self.template.max_length = self.template.max_length, None
        try:
            yield
        finally:
            self.template.max_length = limit

    def text_tokens(self, text: str) -> int:
        """Return the number of tokens of a text that stands alone in its turn."""
        return self._count(text)

    def picture_tokens(self, width: int, height: int) -> int:
        """Return the number of tokens of a picture of that size in pixels."""
        columns, rows = self.form.model_size(width, height)
        return columns * rows // self.form.side_factor**2

    def most_picture_tokens(self) -> int:
        """Return the number of tokens that no picture exceeds."""
        return -(-self.form.max_pixels // self.form.side_factor**2)

    def chat_tokens(self, conversation: Conversation) -> int:
        """Return the number of tokens of a conversation without pictures."""
        with self.without_limit():
            return len(self.template.encode({"messages": conversation["messages"]})["input_ids"])

    def _check(self, turn: Turn, encoded: Mapping[str, Any], inputs: StdTemplateInputs) -> None:
        where = ", ".join(str(record.source) for record in turn.records)
        tokens, labels = encoded["input_ids"], encoded["labels"]
        end = "".join(self.template.template_meta.suffix)
        if turn.mode == "chat":
            check_chat(self._supervised(tokens, labels), turn.answers, end=end, where=where)
            return
        sample = EncodedSample(
            input_ids=tokens,
            labels=labels,
            image_token_id=self.template.image_token_id,
            grids=[tuple(row) for row in encoded["image_grid_thw"].tolist()],
            num_pixel_rows=len(encoded["pixel_values"]),
            merge_size=self.template.processor.image_processor.merge_size,
            num_images=len(turn.pictures),
        )
        run_checks(
            sample,
            decoded="".join(self._supervised(tokens, labels)),
            answer=turn.answer,
            end=end,
            objects=self._grounded(turn, where) if turn.mode == "dense" else [],
            grid=self.form.grid,
            where=where,
        )
        if self.form.grid == _TEMPLATE_GRID and turn.mode == "dense":
            _check_normalisation(turn, inputs.objects["bbox"], where)

    def _supervised(self, tokens: Sequence[int], labels: Sequence[int]) -> list[str]:
        """Return the text of every run of supervised tokens."""
        runs = groupby(zip(tokens, labels, strict=True), key=lambda pair: pair[1] != IGNORED)
        return [self.template.tokenizer.decode([token for token, _ in run]) for supervised, run in runs if supervised]

    def _grounded(self, turn: Turn, where: str) -> list[GroundedObject]:
        """Pair the numbers that stand in the text with the pixels they were made from."""
        written = [
            item for group in parse_answer(turn.answer, image_label=self.form.image_label).images for item in group
        ]
        pixels, slots = turn.inputs["objects"]["bbox"], turn.inputs["objects"]["image_id"]
        if len(written) != len(pixels):
            raise HealthError(f"{where}: the answer holds {len(written)} objects, the pixel contract {len(pixels)}")
        return [
            GroundedObject(item.numbers, flat, *turn.pictures[slot].size)
            for item, flat, slot in zip(written, pixels, slots, strict=True)
        ]


class EncodedDataset:
    """What the trainer reads: a ticket or the number of a user turn in, that turn encoded out.

    The turn of a ticket that is a filler has nothing supervised: it fills up a step when the turns do not divide by the
    number of processes, and adds nothing to the loss.
    """

    def __init__(
        self, dataset: TurnDataset, encoder: ConversationEncoder, *, check_first: int, check_every: int
    ) -> None:
        """Wrap a data set.

        Args:
            dataset: The conversations.
            encoder: The chat template.
            check_first: Every process checks the first so many samples that it encodes.
            check_every: And then every turn whose first row has a number that is a multiple of this; 0 for none.
        """
        self.dataset = dataset
        self.encoder = encoder
        self.check_every = check_every
        self._unchecked = check_first

    def __len__(self) -> int:
        """Return the number of user turns of an epoch."""
        return len(self.dataset)

    def __getitem__(self, key: Ticket | int) -> dict[str, Any]:
        """Encode one user turn: what the template gives, `channel` (the source) and `num_rows`, 0 for a filler."""
        data = self.dataset
        ticket = key if isinstance(key, Ticket) else data.plan(data.epoch).ticket(key)
        check = self._unchecked > 0 or (self.check_every > 0 and ticket.rows[0] % self.check_every == 0)
        self._unchecked -= 1
        encoded = self.encoder.encode(data[ticket], check=check)
        encoded["channel"] = data.parts[ticket.source].name
        encoded["num_rows"] = len(ticket.rows)
        if ticket.filler:
            encoded["labels"] = [IGNORED] * len(encoded["labels"])
            encoded["num_rows"] = 0
        return encoded


def _check_normalisation(turn: Turn, normalised: Sequence[Sequence[int]], where: str) -> None:
    """Compare the template's own normalisation with the rule that `check_grid` relies on."""
    objects = turn.inputs["objects"]
    for flat, slot, theirs in zip(objects["bbox"], objects["image_id"], normalised, strict=True):
        sides = turn.pictures[slot].size
        ours = [round(number / sides[index % 2] * _TEMPLATE_GRID) for index, number in enumerate(flat)]
        if ours != list(theirs):
            raise HealthError(f"{where}: the template normalises {flat} to {theirs}, expected {ours}")
