"""Pictures and texts of a row of chat data, whatever its keys are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from qvl.conversion.formats.json_values import mapping

__all__ = ["addresses", "parts", "texts"]

PICTURES = ("images", "image", "image_path", "img_path", "file_name")
ADDRESSES = ("path", "url", "image", "image_url")
TURNS = ("messages", "conversations", "conversation")
ASSISTANTS = ("assistant", "gpt", "model", "bot")
ANSWERS = ("suffix", "response", "answer", "completion", "output")


def addresses(row: Mapping[str, object]) -> list[str]:
    """Return the addresses of the pictures of a row, of its own keys or else of the parts of its turns."""
    for key in PICTURES:
        value = row.get(key)
        found = [_address(entry) for entry in (value if isinstance(value, list) else [value])]
        if any(found):
            return found
    return [_address(part) for part in parts(row)]


def parts(row: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the parts of the turns that are pictures: `{"type": "image", "image": ...}` and the like."""
    contents = [content for _, content in _turns(row) if isinstance(content, list)]
    return [part for content in contents for part in map(mapping, content) if _address(part)]


def texts(row: Mapping[str, object], *, everyone: bool = False) -> list[str]:
    """Return what the assistant says, turn by turn.

    Args:
        row: With `messages` or `conversations`, or flat with `suffix`, `response` or the like.
        everyone: Whether to return what the others say as well.
    """
    turns = list(_turns(row))
    if turns:
        return [_text(content) for role, content in turns if everyone or role in ASSISTANTS]
    return [text for key in ANSWERS if isinstance(text := row.get(key), str)][:1]


def _turns(row: Mapping[str, object]) -> Iterator[tuple[object, object]]:
    """Yield the role and the content of every turn."""
    turns: object = next((row[key] for key in TURNS if isinstance(row.get(key), list)), [])
    for turn in map(mapping, turns if isinstance(turns, list) else []):
        yield turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))


def _address(value: object) -> str:
    """Return the address in a value: the text itself, or what one of `ADDRESSES` holds, at any depth."""
    if isinstance(value, str):
        return value.strip()
    entries = mapping(value)
    return next((found for key in ADDRESSES if key in entries and (found := _address(entries[key]))), "")


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    pieces: Sequence[object] = content if isinstance(content, list) else []
    found = [mapping(piece).get("text") for piece in pieces]
    return "".join(text for text in found if isinstance(text, str))
