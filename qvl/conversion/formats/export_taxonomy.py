"""What the answers of the labelling platform mean: object types, their attributes and the words for the values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from qvl.errors import ConfigError

__all__ = ["Attribute", "ExportTaxonomy", "ObjectType", "tokens_of"]

TOKEN = re.compile(r"[^/／,，、;；|｜]+")
"""An answer is a path of choices, and a choice may have several values: `不符合要求/未拧紧,生锈`."""

MARKS = re.compile(r"[,|=\s]")
"""What separates the parts of a description, and so cannot stand in a value of the taxonomy."""

TYPE_KEYS = ("labels", "category", "attributes")
ATTRIBUTE_KEYS = ("questions", "keys", "values", "form", "several", "required", "only_if")
FORMS = ("choice", "text", "digits")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of an object type.

    Attributes:
        name: As it is written in the description.
        questions: Questions whose answers give its value, in the words of the platform.
        keys: Their short names, which are looked up where no question was answered.
        values: Word of the description by the tokens of an answer; "" for an answer that is not written.
        form: Whether its value is one of `values`, free text, or the first digits of the answer.
        several: Whether it can have more than one value; free text always can.
        required: Whether an object without it is refused.
        only_if: Attributes that decide whether it may stand, and the values with which it may; "" for none.
    """

    name: str
    questions: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    values: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    form: Literal["choice", "text", "digits"] = "choice"
    several: bool = False
    required: bool = False
    only_if: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One object type of the platform.

    Attributes:
        key: What `content.label` says.
        labels: What the label in Chinese may say.
        category: As it is written in the description; "" where an attribute named like the category key gives it.
        attributes: In the order of writing.
    """

    key: str
    labels: tuple[str, ...]
    category: str
    attributes: tuple[Attribute, ...]


class ExportTaxonomy:
    """The object types of one kind of annotation task.

    Attributes:
        category_key: Key in front of the category, such as `类别`.
        group_key: Key for the groups that an object is a member of; None where groups mean nothing.
        remark: Attribute that takes the parts of answers that no other attribute knows; None to refuse such objects.
        ignored: Words; a question, a part of an answer or of a remark that contains one is left out.
        types: By key, in the order of the configuration.
    """

    def __init__(
        self,
        *,
        types: Mapping[str, Mapping[str, object]],
        category_key: str = "类别",
        group_key: str | None = None,
        remark: str | None = None,
        ignored: Sequence[str] = (),
    ) -> None:
        """Check the taxonomy.

        Args:
            types: By the key of the platform: `labels`, `category` and `attributes`; an attribute has the keys of
                `Attribute`, without `name`.
            category_key: Key in front of the category.
            group_key: Key for the groups of an object; None where groups mean nothing.
            remark: Attribute that takes what no other attribute knows; None to refuse it.
            ignored: Words; what contains one is left out.

        Raises:
            ConfigError: A key is unknown, a value has the wrong type or holds a mark that separates descriptions, or
                a condition names no attribute.
        """
        self.category_key = category_key
        self.group_key = group_key
        self.remark = remark
        self.ignored = tuple(ignored)
        self.types = {key: _type(key, node, category_key) for key, node in types.items()}

    def find_type(self, key: str, label: str) -> ObjectType | None:
        """Return the type that an object has by its key, or else by its label in Chinese; None for an unknown one."""
        if key in self.types:
            return self.types[key]
        named = (kind for kind in self.types.values() if label and label in (kind.category, *kind.labels))
        return next(named, None)

    def is_ignored(self, text: str) -> bool:
        """Tell whether a question or a part of an answer is to be left out."""
        return any(word in text for word in self.ignored)


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the parts of an answer in one form: NFKC, without blanks."""
    return tuple(_plain(part) for part in TOKEN.findall(text) if _plain(part))


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _type(key: str, node: object, category_key: str) -> ObjectType:
    place = f"source.taxonomy.types.{key}"
    fields = _fields(node, TYPE_KEYS, place)
    nodes = _mapping(fields.get("attributes", {}), f"{place}.attributes")
    attributes = tuple(_attribute(name, entry, f"{place}.attributes.{name}") for name, entry in nodes.items())
    category = _word(fields.get("category", ""), f"{place}.category")
    names = [attribute.name for attribute in attributes]
    if bool(category) == (category_key in names):
        raise ConfigError(f"{place}: needs either `category` or an attribute {category_key}, which gives it")
    for attribute in attributes:
        if strange := sorted(set(attribute.only_if) - set(names)):
            raise ConfigError(f"{place}.attributes.{attribute.name}.only_if: there is no attribute {strange[0]}")
    return ObjectType(key, _texts(fields.get("labels", ()), f"{place}.labels"), category, attributes)


def _attribute(name: str, node: object, place: str) -> Attribute:
    fields = _fields(node, ATTRIBUTE_KEYS, place)
    form = fields.get("form", "choice")
    if form not in ("choice", "text", "digits"):
        raise ConfigError(f"{place}.form: expected one of {', '.join(FORMS)}, got {form!r}")
    words = _mapping(fields.get("values", {}), f"{place}.values")
    values = {tokens_of(raw): _word(word, f"{place}.values.{raw}") for raw, word in words.items()}
    if bool(values) != (form == "choice"):
        raise ConfigError(f"{place}: form {form} {'needs' if form == 'choice' else 'has no'} `values`")
    conditions = _mapping(fields.get("only_if", {}), f"{place}.only_if")
    return Attribute(
        name=_word(name, place),
        questions=_texts(fields.get("questions", ()), f"{place}.questions"),
        keys=_texts(fields.get("keys", ()), f"{place}.keys"),
        values=values | {tokens_of(word): word for word in values.values() if word},
        form=form,
        several=form == "text" or fields.get("several", False) is True,
        required=fields.get("required", False) is True,
        only_if={other: _texts(allowed, f"{place}.only_if.{other}") for other, allowed in conditions.items()},
    )


def _fields(node: object, known: Sequence[str], place: str) -> Mapping[str, object]:
    fields = _mapping(node, place)
    if unknown := sorted(set(fields) - set(known)):
        raise ConfigError(f"{place}: there is no key {unknown[0]}; there are: {', '.join(known)}")
    return fields


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    raise ConfigError(f"{place}: expected keys with values, got {value!r}")


def _texts(value: object, place: str) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ConfigError(f"{place}: expected a list of texts, got {value!r}")


def _word(value: object, place: str) -> str:
    if isinstance(value, str) and not MARKS.search(value):
        return value
    raise ConfigError(f"{place}: expected a word without blanks and without , | =, got {value!r}")
