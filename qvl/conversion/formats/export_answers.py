"""From the answers of an annotator to the attributes of an object: nothing is left out without a count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from qvl.conversion.formats.export_taxonomy import TOKEN, Attribute, ExportTaxonomy, ObjectType, tokens_of

__all__ = ["Described", "Fault", "describe"]

Answers = Mapping[str, Sequence[str]]
"""Answers by question, or by the short name of the question; blank ones left out."""


@dataclass(frozen=True, slots=True)
class Described:
    """What is said about one object.

    Attributes:
        category: As it is written.
        attributes: Values by attribute, in the order of writing.
        repairs: A code for everything that was set right or left out.
    """

    category: str
    attributes: Mapping[str, tuple[str, ...]]
    repairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the answers cannot be used; like `Refused`, without a place."""

    code: str
    message: str
    came: object


@dataclass(slots=True)
class _Reading:
    """What has been read so far of one object.

    Attributes:
        values: Values by name of the attribute.
        strays: Question, and the part of its answer that no attribute knows.
        unknown: Questions that no attribute asks.
        repairs: Codes so far.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    strays: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)

    def add(self, attribute: Attribute, value: str) -> None:
        found = self.values.setdefault(attribute.name, [])
        if value not in found:
            found.append(value)


def describe(
    kind: ObjectType, taxonomy: ExportTaxonomy, *, answers: Answers, codes: Answers, strict: bool
) -> Described | Fault:
    """Return the category and the attributes of one object, or why there are none.

    Args:
        kind: Its type.
        taxonomy: The taxonomy that the type belongs to.
        answers: Answers by question in the words of the platform (`contentZh`).
        codes: Answers by the short name of the question (`content`), for attributes that `answers` say nothing of.
        strict: Whether a question that no attribute asks is a fault; otherwise it is counted.
    """
    reading = _Reading()
    for question, items in answers.items():
        _read(reading, question, items, kind.attributes, taxonomy)
    unanswered = [attribute for attribute in kind.attributes if attribute.name not in reading.values]
    for key in dict.fromkeys(key for attribute in unanswered for key in attribute.keys):
        if key in codes and key not in answers:
            _read(reading, key, codes[key], unanswered, taxonomy)
    if reading.unknown and strict:
        question = reading.unknown[0]
        known = ", ".join(dict.fromkeys(name for attribute in kind.attributes for name in attribute.questions))
        return Fault("unknown_question", f"type {kind.key} asks {known or 'nothing'}", question)
    reading.repairs += ["question_ignored"] * len(reading.unknown)
    return _fold(reading, kind, taxonomy) or _settle(reading, kind, taxonomy)


def _read(
    reading: _Reading, question: str, items: Sequence[str], attributes: Iterable[Attribute], taxonomy: ExportTaxonomy
) -> None:
    """Read the answers to one question into all attributes that ask it."""
    readers = [attribute for attribute in attributes if question in (*attribute.questions, *attribute.keys)]
    if taxonomy.is_ignored(question):
        reading.repairs.append("answer_ignored")
    elif readers:
        for item in items:
            _read_item(reading, question, item, readers)
    else:
        reading.unknown.append(question)


def _read_item(reading: _Reading, question: str, item: str, readers: Sequence[Attribute]) -> None:
    """Read one answer from left to right, always the longest run of parts that a reader knows."""
    parts = [part for part in TOKEN.finditer(item) if tokens_of(part[0])]
    tokens = [tokens_of(part[0])[0] for part in parts]
    texts = [attribute for attribute in readers if attribute.form == "text"]
    position = 0
    while position < len(parts):
        length = _take(reading, tokens[position:], readers)
        if length == 0 and texts:  # from here on it is text, punctuation and all
            break
        if length == 0:
            reading.strays.append((question, parts[position][0].strip()))
        position += length or 1
    start = 0 if position == 0 else parts[position].start() if position < len(parts) else len(item)
    rest = "".join(item[start:].split())
    for attribute in texts if rest else []:
        reading.add(attribute, rest)


def _take(reading: _Reading, tokens: Sequence[str], readers: Sequence[Attribute]) -> int:
    """Add the values of the longest run at the front that a reader knows; return its length, 0 for none."""
    digits = re.search(r"[0-9]+", tokens[0])
    found = [(1, attribute, digits[0]) for attribute in readers if attribute.form == "digits" and digits]
    for attribute in readers:
        runs = (run for run in attribute.values if run == tuple(tokens[: len(run)]))
        found += [(len(run), attribute, attribute.values[run]) for run in runs]
    longest = max((length for length, _, _ in found), default=0)
    for length, attribute, value in found:
        if length == longest:
            reading.add(attribute, value)
    return longest


def _fold(reading: _Reading, kind: ObjectType, taxonomy: ExportTaxonomy) -> Fault | None:
    """Put what no attribute knows into the remark, without the words to ignore."""
    strays = [(question, text) for question, text in reading.strays if not taxonomy.is_ignored(text)]
    reading.repairs += ["answer_ignored"] * (len(reading.strays) - len(strays))
    if taxonomy.remark is None:
        if not strays:
            return None
        question, text = strays[0]
        readers = [one for one in kind.attributes if question in (*one.questions, *one.keys)]
        allowed = ", ".join(dict.fromkeys("/".join(run) for one in readers for run in one.values))
        return Fault("unknown_value", f"{question}: allowed are {allowed or 'digits'}", text)
    said = [part for text in reading.values.get(taxonomy.remark, []) for part in re.split("[,，]", text) if part]
    kept = [part for part in said if not taxonomy.is_ignored(part)]
    reading.repairs += ["answer_ignored"] * (len(said) - len(kept)) + ["folded_into_remark"] * len(strays)
    if len(kept) < len(said) or strays:
        joined = ",".join(dict.fromkeys([*kept, *("".join(text.split()) for _, text in strays)]))
        reading.values[taxonomy.remark] = [joined]
    return None


def _settle(reading: _Reading, kind: ObjectType, taxonomy: ExportTaxonomy) -> Described | Fault:
    """Apply the conditions, and check that what is left is whole and free of contradictions."""
    values = {name: [value for value in found if value] for name, found in reading.values.items()}
    kept: dict[str, list[str]] = {}
    for attribute in kind.attributes:
        found = values.pop(attribute.name, [])
        if found and not _allowed(attribute, reading.values):
            reading.repairs.append("condition_unmet")
            continue
        if attribute.required and not found:
            asked = " or ".join((*attribute.questions, *attribute.keys))
            return Fault("missing_answer", f"{attribute.name} is required, there is no answer to {asked}", None)
        if len(found) > 1 and not attribute.several:
            return Fault("conflicting_values", f"{attribute.name} has one value, not {len(found)}", found)
        kept[attribute.name] = found
    kept |= values  # a remark that the type does not ask for
    category = kind.category or "".join(kept.pop(taxonomy.category_key, []))
    if not category:
        return Fault("missing_answer", f"{taxonomy.category_key} is not answered", None)
    return Described(category, {name: tuple(found) for name, found in kept.items() if found}, tuple(reading.repairs))


def _allowed(attribute: Attribute, values: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether an attribute may stand beside the values of the others."""
    return all(
        any(value in allowed for value in values.get(other, ())) or ("" in allowed and not any(values.get(other, ())))
        for other, allowed in attribute.only_if.items()
    )
