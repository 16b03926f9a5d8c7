"""What rows are used for: dense captions, summaries, or chat that is passed through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from qvl.records.finding import Finding, shorten
from qvl.records.record import Record, Source
from qvl.records.validation import Issue, check_text, make_record, validate_row

MODES: Final = ("dense", "summary", "chat")
"""`dense`: objects with shapes; `summary`: one line about the picture, objects may be missing; `chat`: text only."""

CHAT_ROLES: Final = ("system", "user", "assistant")


def validate_as(mode: str, row: object, *, source: Source) -> list[Finding]:
    """Return everything that is wrong with a row for its use; `validate_row` has the codes of rows with pictures.

    Further codes: missing_summary; missing_messages, bad_message, chat_images, bad_turns.

    Args:
        mode: One of `MODES`.
        row: A decoded JSON value.
        source: Where it comes from.
    """
    if mode == "chat":
        return [Finding(code, source, field, text) for code, field, text in _check_chat(row)]
    if mode == "dense" or not isinstance(row, Mapping):
        return validate_row(row, source=source)
    findings = validate_row(row, source=source)
    if not row.get("objects"):
        findings = [finding for finding in findings if finding.code != "no_objects"]
    if row.get("summary") is None:
        findings.append(Finding("missing_summary", source, "summary", "expected one line of text, got nothing"))
    return findings


def record_as(mode: str, row: Mapping[str, Any], *, source: Source, root: str) -> Record:
    """Turn a row that `validate_as` found nothing fatal in into a record.

    Args:
        mode: One of `MODES`.
        row: The row.
        source: Where it comes from.
        root: Folder that relative image paths start from.
    """
    if mode == "chat":
        messages = tuple({"role": turn["role"], "content": turn["content"]} for turn in row["messages"])
        return Record(images=(), objects=(), width=0, height=0, source=source, messages=messages)
    return make_record({"objects": [], **row}, source=source, root=root)


def _check_chat(row: object) -> Iterator[Issue]:
    if not isinstance(row, Mapping):
        yield "not_an_object", "", f"expected a JSON object, got {shorten(row)}"
        return
    messages = row.get("messages")
    if row.get("images"):
        yield "chat_images", "images", "rows of chat are text only"
    if not isinstance(messages, list) or not messages:
        yield "missing_messages", "messages", f"expected a list of turns, got {shorten(messages)}"
        return
    for number, message in enumerate(messages):
        yield from _check_message(f"messages[{number}]", message)
    roles = [message.get("role") if isinstance(message, Mapping) else None for message in messages]
    spoken = roles[1:] if roles[0] == "system" else roles
    if not spoken or len(spoken) % 2 or spoken != ["user", "assistant"] * (len(spoken) // 2):
        came = ", ".join(map(str, roles))
        yield "bad_turns", "messages", f"expected user and assistant in turn after an optional system, got {came}"


def _check_message(field: str, message: object) -> Iterator[Issue]:
    if not isinstance(message, Mapping) or message.get("role") not in CHAT_ROLES:
        allowed = ", ".join(CHAT_ROLES)
        yield "bad_message", field, f"expected a role among {allowed} and a content, got {shorten(message)}"
        return
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        yield "bad_message", f"{field}.content", f"expected a text that is not blank, got {shorten(content)}"
        return
    yield from check_text(f"{field}.content", content)
