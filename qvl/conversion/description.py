"""Descriptions of objects from a template."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from qvl.conversion.annotated import Annotation

__all__ = ["DescriptionTemplate"]

_FIELD = re.compile(r"\{([^{}]*)\}")
_WIDE = str.maketrans({",": "，", "|": "｜", "=": "＝"})
_ATTRIBUTE = "attributes."
_FIELDS = ("category", "supercategory", "attributes")


class DescriptionTemplate:
    """Writes the description of an object, such as `type={category},{attributes}`.

    The fields are `{category}`, `{supercategory}`, `{attributes}` (all of them as `key=value`, in their order) and
    `{attributes.NAME}`. The template is cut at its commas, and a piece with a field that the object does not have is
    left out: `{category},color={attributes.color}` of an object without a color is its category.

    Inside names and values a line break becomes a blank, and `,`, `|` and `=` become full-width, for they part a
    description; what Unicode writes in several ways is written in one (NFKC). Several values of one attribute are
    joined by `|`.
    """

    def __init__(self, template: str) -> None:
        """Read the template.

        Raises:
            ValueError: It is blank, a field is unknown, or a brace stands alone.
        """
        if not template.strip():
            raise ValueError("the template is blank")
        for name in _FIELD.findall(template):
            if name not in _FIELDS and not (name.startswith(_ATTRIBUTE) and len(name) > len(_ATTRIBUTE)):
                allowed = ", ".join(f"{{{field}}}" for field in (*_FIELDS, "attributes.NAME"))
                raise ValueError(f"there is no field {{{name}}}; there are: {allowed}")
        if any(brace in _FIELD.sub("", template) for brace in "{}"):
            raise ValueError(f"a brace stands alone in {template!r}")
        self._pieces = tuple(piece.strip() for piece in template.split(",") if piece.strip())

    def write(self, annotation: Annotation, *, label: str) -> str:
        """Return the description of an object; "" if it has none of the fields.

        Args:
            annotation: The object.
            label: Its category as it is to be written.
        """
        values = _values(annotation, label)
        pieces = (_filled(piece, values) for piece in self._pieces)
        return ",".join(piece for piece in pieces if piece)


def _values(annotation: Annotation, label: str) -> Mapping[str, str]:
    write = str if annotation.verbatim else _plain
    attributes = {name: _joined(value, write) for name, value in annotation.attributes.items()}
    pairs = [f"{_plain(name)}={value}" for name, value in attributes.items() if value]
    return {
        "category": _plain(label),
        "supercategory": _plain(annotation.supercategory),
        "attributes": ",".join(pairs),
        **{f"{_ATTRIBUTE}{name}": value for name, value in attributes.items()},
    }


def _filled(piece: str, values: Mapping[str, str]) -> str:
    """Return a piece with its fields filled in; "" if one of them is missing."""
    if not all(values.get(name) for name in _FIELD.findall(piece)):
        return ""
    return _FIELD.sub(lambda match: values[match[1]], piece)


def _joined(value: str | tuple[str, ...], write: Callable[[str], str]) -> str:
    values = (value,) if isinstance(value, str) else value
    return "|".join(text for each in values if (text := write(each)))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split()).translate(_WIDE)
