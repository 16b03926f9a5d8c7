"""From conversations to model inputs, with the health of every sample in view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qvl.conversation import parse_answer
from qvl.data import DenseDataset, Turn, TurnFormat
from qvl.errors import HealthError
from qvl.health import IGNORED, EncodedSample, GroundedObject, run_checks

if TYPE_CHECKING:
    from swift.template import StdTemplateInputs, Template

__all__ = ["ConversationEncoder", "EncodedDataset"]

_TEMPLATE_GRID = 1000


@dataclass(frozen=True, slots=True)
class ConversationEncoder:
    """The chat template of a model, with what it is asked to encode.

    Attributes:
        template: ms-swift's template in training mode.
        form: How pictures are shown and answers written.
    """

    template: Template
    form: TurnFormat

    def encode(self, turn: Turn, *, check: bool) -> dict[str, Any]:
        """Return `input_ids`, `labels`, `pixel_values`, `image_grid_thw`, `length`, ... of one turn.

        Args:
            turn: Pictures and messages.
            check: Whether to run the health checks on the result.

        Raises:
            HealthError: A check failed.
        """
        messages, objects = turn.inputs["messages"], turn.inputs["objects"]  # the pictures stand in the messages
        inputs = {"messages": messages, "objects": objects, "chat_template_kwargs": self.form.pixel_limits}
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
        return len(self.template.tokenizer.encode(text, add_special_tokens=False))

    def picture_tokens(self, width: int, height: int) -> int:
        """Return the number of tokens of a picture of that size in pixels."""
        from qwen_vl_utils.vision_process import smart_resize

        processor = self.template.processor.image_processor
        factor = int(processor.patch_size * processor.merge_size)
        rows, columns = smart_resize(height, width, factor, **self.form.pixel_limits)
        return int(rows * columns) // factor**2

    def _check(self, turn: Turn, encoded: Mapping[str, Any], inputs: StdTemplateInputs) -> None:
        where = ", ".join(str(record.source) for record in turn.records)
        tokens, labels = encoded["input_ids"], encoded["labels"]
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
            decoded=self.template.tokenizer.decode(
                [t for t, label in zip(tokens, labels, strict=True) if label != IGNORED]
            ),
            answer=turn.answer,
            end="".join(self.template.template_meta.suffix),
            objects=self._grounded(turn, where),
            grid=self.form.grid,
            where=where,
        )
        if self.form.grid == _TEMPLATE_GRID:
            _check_normalisation(turn, inputs.objects["bbox"], where)

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
    """What the trainer reads: item k is the encoded user turn k of the epoch.

    A negative index -k - 1 is turn k with nothing supervised: it fills up the last step of an epoch when the turns
    do not divide by the number of processes, and adds nothing to the loss.
    """

    def __init__(
        self, dataset: DenseDataset, encoder: ConversationEncoder, *, check_first: int, check_every: int
    ) -> None:
        """Wrap a data set.

        Args:
            dataset: The conversations.
            encoder: The chat template.
            check_first: Every process checks the first so many samples that it encodes.
            check_every: And then every sample whose index is a multiple of this; 0 for none.
        """
        self.dataset = dataset
        self.encoder = encoder
        self.check_every = check_every
        self._unchecked = check_first

    def __len__(self) -> int:
        """Return the number of user turns of an epoch."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Encode one user turn."""
        number = index if index >= 0 else -index - 1
        check = self._unchecked > 0 or (self.check_every > 0 and number % self.check_every == 0)
        self._unchecked -= 1
        encoded = self.encoder.encode(self.dataset[number], check=check)
        if index < 0:
            encoded["labels"] = [IGNORED] * len(encoded["labels"])
        return encoded


def _check_normalisation(turn: Turn, normalised: Sequence[Sequence[int]], where: str) -> None:
    """Compare the template's own normalisation with the rule that `check_grid` relies on."""
    objects = turn.inputs["objects"]
    for flat, slot, theirs in zip(objects["bbox"], objects["image_id"], normalised, strict=True):
        sides = turn.pictures[slot].size
        ours = [round(number / sides[index % 2] * _TEMPLATE_GRID) for index, number in enumerate(flat)]
        if ours != list(theirs):
            raise HealthError(f"{where}: the template normalises {flat} to {theirs}, expected {ours}")
