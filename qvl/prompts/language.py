"""Texts that exist in several languages."""

from __future__ import annotations

from collections.abc import Mapping

from qvl.errors import ConfigError

__all__ = ["Text", "in_language"]

Text = str | Mapping[str, str]
"""One text for every language, or a text by language: `{en: List every object., zh: 列出所有对象。}`."""


def in_language(text: Text, language: str, *, key: str) -> str:
    """Return a text in one language.

    Args:
        text: One text for all, or a text by language.
        language: Such as `en` or `zh`.
        key: Where the text stands in the configuration, for the message.

    Raises:
        ConfigError: There is no text in that language, or what is there is no text.
    """
    found = text.get(language) if isinstance(text, Mapping) else text
    if isinstance(found, str):
        return found
    if isinstance(text, Mapping) and found is None:
        raise ConfigError(f"{key}: there is no text in prompts.language={language}; there are: {', '.join(text)}")
    raise ConfigError(f"{key}: expected a text, or a text by language, got {found!r}")
