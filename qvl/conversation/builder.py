"""Records to a conversation."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol, TypedDict

from qvl.conversation.messages import Message, build_messages
from qvl.conversation.render import as_text, check_emit_norm, count_objects, render_answer, written_objects
from qvl.records import ORDER_POLICIES, ObjectRecord, Record, category


class PixelObjects(TypedDict):
    """The pixel contract of an answer: one entry per written object, in writing order.

    Attributes:
        ref: Categories.
        bbox: Flat pixel lists x1, y1, x2, y2, ... of any even length, canonical.
        image_id: 0-based numbers of the pictures.
        bbox_type: Always "real", pixels.
    """

    ref: list[str]
    bbox: list[list[float]]
    image_id: list[int]
    bbox_type: str


class Conversation(TypedDict):
    """One training sample in words.

    Attributes:
        messages: The turns.
        images: The pictures, or their paths, as they stand in the user turn.
        objects: What the answer is about, in pixels.
    """

    messages: list[Message]
    images: list[object]
    objects: PixelObjects


class Prompts(Protocol):
    """What a builder needs to know of a prompt scheme."""

    @property
    def system(self) -> str:
        """System prompt; may be empty."""

    @property
    def user(self) -> str:
        """Text after the pictures."""

    @property
    def image_label(self) -> str:
        """Word in front of a picture's number."""


class BaseBuilder(ABC):
    """Extension point: how the records of one user turn become a conversation.

    Attributes:
        mode: What it needs rows for, one of `qvl.records.MODES`; rows are checked for it.
    """

    mode: ClassVar[str] = "dense"

    @abstractmethod
    def build(self, *records: Record, pictures: Sequence[object] | None = None) -> Conversation:
        """Return `{"messages": ..., "images": ..., "objects": ...}` for one record or several.

        Args:
            records: The records of the turn, one picture each.
            pictures: The pictures themselves, one per record, where they are not to be read from the record's path.
        """

    def answer_to_count(self, record: Record) -> str:
        """Return a text of the length of the last answer to one record, in characters and in tokens.

        It is asked for once a row before training starts; a builder may leave out what does not change the length.
        """
        return str(self.build(record)["messages"][-1]["content"])


class DenseBuilder(BaseBuilder):
    """Every object with its description and shape, as JSON."""

    def __init__(self, *, prompts: Prompts, emit_norm: str = "norm1000", order: str = "tlbr") -> None:
        """Choose how answers are written.

        Args:
            prompts: System prompt, user prompt and the word for a picture.
            emit_norm: Units of the written numbers: `none`, `norm100` or `norm1000`.
            order: Writing order, a policy of `qvl.records.order_objects`.

        Raises:
            ValueError: An argument is not one of the choices.
        """
        check_emit_norm(emit_norm)
        if order not in ORDER_POLICIES:
            raise ValueError(f"order must be one of {', '.join(ORDER_POLICIES)}, got {order!r}")
        self.prompts = prompts
        self.emit_norm = emit_norm
        self.order = order

    def build(self, *records: Record, pictures: Sequence[object] | None = None) -> Conversation:
        """Return the conversation with its answer.

        Raises:
            ValueError: There is no record, a record has not exactly one image, or `pictures` has another length.
        """
        written = self._written(records)
        answer = render_answer(
            [
                as_text(items, width=record.width, height=record.height, emit_norm=self.emit_norm)
                for record, items in zip(records, written, strict=True)
            ],
            image_label=self.prompts.image_label,
        )
        return self._conversation(_pictures(records, pictures), written, answer)

    def answer_to_count(self, record: Record) -> str:
        """Return the answer to one record with its objects and vertices in any order."""
        items = count_objects(record)
        text = as_text(items, width=record.width, height=record.height, emit_norm=self.emit_norm)
        return render_answer([text], image_label=self.prompts.image_label)

    def prompt(self, *records: Record, pictures: Sequence[object] | None = None) -> Conversation:
        """Return the same as `build` without the turn of the assistant, for generation."""
        return self._conversation(_pictures(records, pictures), self._written(records), None)

    def _written(self, records: Sequence[Record]) -> list[tuple[ObjectRecord, ...]]:
        return [written_objects(record, order=self.order) for record in records]

    def _conversation(
        self, images: list[object], written: Sequence[Sequence[ObjectRecord]], answer: str | None
    ) -> Conversation:
        messages = build_messages(
            images,
            system=self.prompts.system,
            user=self.prompts.user,
            answer=answer,
            image_label=self.prompts.image_label,
        )
        return {"messages": messages, "images": images, "objects": _pixel_objects(written)}


class SummaryBuilder(BaseBuilder):
    """The one line about a picture, as the row has it."""

    mode: ClassVar[str] = "summary"

    def __init__(self, *, prompts: Prompts) -> None:
        """Choose what is asked.

        Args:
            prompts: System prompt, user prompt and the word for a picture.
        """
        self.prompts = prompts

    def build(self, *records: Record, pictures: Sequence[object] | None = None) -> Conversation:
        """Return the conversation; the summaries of several pictures are one line of JSON, by picture.

        Raises:
            ValueError: A record has no summary or not exactly one image, or `pictures` has another length.
        """
        for record in records:
            if record.summary is None:
                raise ValueError(f"{record.source}: summary: expected one line of text, got nothing")
        texts = [str(record.summary) for record in records]
        label = self.prompts.image_label
        by_picture = {f"{label}_{slot}": text for slot, text in enumerate(texts, 1)}
        answer = texts[0] if len(texts) == 1 else json.dumps(by_picture, ensure_ascii=False)
        images = _pictures(records, pictures)
        messages = build_messages(
            images, system=self.prompts.system, user=self.prompts.user, answer=answer, image_label=label
        )
        return {"messages": messages, "images": images, "objects": _pixel_objects([])}


class ChatBuilder(BaseBuilder):
    """A conversation that is in the row already, unchanged."""

    mode: ClassVar[str] = "chat"

    def build(self, *records: Record, pictures: Sequence[object] | None = None) -> Conversation:
        """Return the turns of the only record.

        Raises:
            ValueError: There are several records, or there are pictures.
        """
        if len(records) != 1 or pictures:
            raise ValueError(f"a row of chat stands alone without pictures, got {len(records)} rows")
        messages: list[Message] = [dict(message) for message in records[0].messages]
        return {"messages": messages, "images": [], "objects": _pixel_objects([])}


def _pixel_objects(written: Sequence[Sequence[ObjectRecord]]) -> PixelObjects:
    items = [(number, item) for number, objects in enumerate(written) for item in objects]
    return {
        "ref": [category(item.desc) for _, item in items],
        "bbox": [list(item.shape.flat()) for _, item in items],
        "image_id": [number for number, _ in items],
        "bbox_type": "real",
    }


def _pictures(records: Sequence[Record], pictures: Sequence[object] | None) -> list[object]:
    for record in records:
        if len(record.images) != 1:
            raise ValueError(f"{record.source}: a record in a turn has one image, got {len(record.images)}")
    if pictures is None:
        return [record.images[0] for record in records]
    if len(pictures) != len(records):
        raise ValueError(f"expected one picture per record, got {len(pictures)} pictures for {len(records)} records")
    return list(pictures)
