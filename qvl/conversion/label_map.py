"""Words for the categories of a source, from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qvl.conversion.files import Unreadable, read_json
from qvl.errors import ConfigError

__all__ = ["LabelMap", "read_labels"]


@dataclass(frozen=True, slots=True)
class LabelMap:
    """What becomes of categories.

    Attributes:
        words: Category of the source to the word that is written for it.
        drop: Categories whose objects are left out.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()


def read_labels(path: Path) -> LabelMap:
    """Read a JSON object of a word for each category, null for one that is left out.

    The `labels.json` of an earlier result is one too: there the word stands under `written`.

    Raises:
        ConfigError: The file cannot be read, or holds something else.
    """
    content = read_json(path)
    if isinstance(content, Unreadable):
        raise ConfigError(f"labels: {path}: {content.message}")
    if not isinstance(content, dict):
        raise ConfigError(f'labels: {path}: expected an object such as {{"cat": "猫", "tree": null}}')
    given = {name: value.get("written") if isinstance(value, dict) else value for name, value in content.items()}
    for name, word in given.items():
        if word is not None and not isinstance(word, str):
            raise ConfigError(f"labels: {path}: {name}: expected a word or null, got {word!r}")
    words = {name: word for name, word in given.items() if isinstance(word, str)}
    return LabelMap(words, frozenset(given.keys() - words.keys()))
