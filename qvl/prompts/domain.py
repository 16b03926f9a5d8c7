"""What is known of one kind of pictures: what can be seen on them, in which words, and what else helps to judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qvl.errors import ConfigError
from qvl.prompts.language import Text, in_language

__all__ = ["DomainPack"]

Categories = Mapping[str, Mapping[str, Sequence[str]]]


class DomainPack:
    """Categories with their attributes and values, rules of writing and prior knowledge, as text for a system prompt.

    Attributes:
        categories: Attributes of every category and the values of each, in the order of writing; no values stand for
            free text.
    """

    def __init__(self, *, intro: Text = "", categories: Categories | None = None, hints: Text = "") -> None:
        """Take the parts; an empty one is left out of the text.

        Args:
            intro: Stands in front of the list of categories; one text, or a text by language.
            categories: Attributes by category, values by attribute; [] for free text. They are the words of the data
                and the same in every language.
            hints: What helps to judge and to write, one sentence a line; stands behind the list.

        Raises:
            ConfigError: `categories` is not built like that.
        """
        self._intro = intro
        self._hints = hints
        self.categories = _checked(categories or {})

    def text(self, language: str) -> str:
        """Return the text for a system prompt; "" where nothing is known.

        Args:
            language: Such as `en` or `zh`.

        Raises:
            ConfigError: A part is not there in that language.
        """
        intro = in_language(self._intro, language, key="prompts.domain.intro")
        hints = in_language(self._hints, language, key="prompts.domain.hints")
        return "\n".join(part for part in (intro.strip(), *self._lines(), hints.strip()) if part)

    def _lines(self) -> list[str]:
        """Return one line a category, such as `- BBU设备: 品牌=华为/中兴; 备注=...`."""
        return [f"- {category}{_attributes(attributes)}" for category, attributes in self.categories.items()]


def _attributes(attributes: Mapping[str, Sequence[str]]) -> str:
    pairs = [f"{key}={'/'.join(values) or '...'}" for key, values in attributes.items()]
    return f": {'; '.join(pairs)}" if pairs else ""


def _checked(categories: Categories) -> Categories:
    for category, attributes in categories.items():
        if not isinstance(attributes, Mapping):
            raise ConfigError(f"prompts.domain.categories.{category}: expected attributes, got {attributes!r}")
        for key, values in attributes.items():
            if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
                place = f"prompts.domain.categories.{category}.{key}"
                raise ConfigError(f"{place}: expected a list of texts, [] for free text, got {values!r}")
    return categories
