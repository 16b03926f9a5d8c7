"""The turns of a conversation."""

from __future__ import annotations

from collections.abc import Sequence

Message = dict[str, object]
"""`role` and `content`; the content is a text or a list of parts."""


def build_messages(
    images: Sequence[object], *, system: str, user: str, answer: str | None, image_label: str
) -> list[Message]:
    """Put pictures and texts into turns.

    Args:
        images: The pictures, in whatever form the chat template takes: paths, arrays, PIL images.
        system: System prompt; no system turn if it is empty.
        user: Text after the last picture.
        answer: Text of the assistant; None leaves the turn to the model.
        image_label: Word of the text `<image_label>_1: ` in front of each picture when there are several.

    Returns:
        System turn (if any), user turn in content parts, assistant turn (if any).

    Raises:
        ValueError: There is no picture.
    """
    if not images:
        raise ValueError("a conversation needs at least one picture, got none")
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": [*_picture_parts(images, image_label), _text_part(user)]})
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    return messages


def _picture_parts(images: Sequence[object], image_label: str) -> list[dict[str, object]]:
    pictures: list[dict[str, object]] = [{"type": "image", "image": image} for image in images]
    if len(pictures) == 1:
        return pictures
    return [
        part
        for number, picture in enumerate(pictures, 1)
        for part in (_text_part(f"{image_label}_{number}: "), picture)
    ]


def _text_part(text: str) -> dict[str, object]:
    return {"type": "text", "text": text}
