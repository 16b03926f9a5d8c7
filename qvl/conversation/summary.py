"""One line about a whole picture, counted from the descriptions of its objects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from qvl.errors import ConfigError
from qvl.records import category

__all__ = ["IRRELEVANT", "SummaryWriter"]

IRRELEVANT: Final = "无关图片"
"""The answer to a picture that has nothing to do with the task."""

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class SummaryWriter:
    """Counts what is said of the objects of a picture, as JSON on one line.

    `{"统计": [{"类别": "标签", "文本": {"A1": 2}}, ...], "备注": [...], "分组统计": {"1": 2}}`: for every category the
    values that were seen and on how many objects. What was not seen does not occur; the last two keys are there only if
    there is something to say. Several values of one object are joined by `|` and counted apart.

    Attributes:
        statistics_word: Key of the list of categories.
        category_word: Key of a category's name.
        remarks_word: Key of the remarks.
        groups_word: Key of the groups and their sizes.
        count_word: Key of the number of objects of a category; "" leaves that number out.
        remark: Attribute of an object that is a remark: listed once each, not counted; "" for none.
        group: Attribute of an object that names its groups; "" for none.
        texts: Attributes that hold free text: it is not split at `|`, and a comma in it ends it only in front of
            another `key=`. A remark is free text too.
        first: Categories that come before all others, which are sorted.
    """

    statistics_word: str = "统计"
    category_word: str = "类别"
    remarks_word: str = "备注"
    groups_word: str = "分组统计"
    count_word: str = ""
    remark: str = "备注"
    group: str = "组"
    texts: Sequence[str] = ("文本",)
    first: Sequence[str] = ("站点距离",)

    def __post_init__(self) -> None:
        """Refuse equal or empty keys.

        Raises:
            ConfigError: Two keys of the same object are equal, or one that always stands there is empty.
        """
        top = (self.statistics_word, self.remarks_word, self.groups_word)
        if not all(top) or len(set(top)) < len(top):
            raise ConfigError(f"the words {', '.join(map(repr, top))} are keys of one object, they have to differ")
        if not self.category_word or self.category_word == self.count_word:
            raise ConfigError(f"category_word must be a word of its own, got {self.category_word!r}")

    def write(self, descs: Sequence[str]) -> str:
        """Return the summary of a picture, the same for any order of its objects but for that of the remarks.

        Args:
            descs: Descriptions of its objects, such as `type=cable,color=red`.

        Raises:
            ValueError: There is no object, or a description is blank.
            ConfigError: An attribute has the name of a key of the summary.
        """
        if not descs:
            raise ValueError("a summary needs at least one object, got none")
        if blank := [number for number, desc in enumerate(descs) if not desc.strip()]:
            raise ValueError(f"objects[{blank[0]}].desc: expected a text that is not blank, got {descs[blank[0]]!r}")
        read = [(category(desc), self._pairs(desc)) for desc in descs]
        summary: dict[str, object] = {self.statistics_word: self._statistics(read)}
        pairs = list(chain.from_iterable(found for _, found in read))
        if remarks := list(dict.fromkeys(value for key, value in pairs if key == self.remark)):
            summary[self.remarks_word] = remarks
        if groups := Counter(value for key, value in pairs if key == self.group):
            summary[self.groups_word] = {
                name: groups[name] for name in sorted(groups, key=lambda name: (len(name), name))
            }
        return json.dumps(summary, ensure_ascii=False)

    def _statistics(self, read: Sequence[tuple[str, Sequence[Pair]]]) -> list[dict[str, object]]:
        """Return one entry a category."""
        sizes = Counter(name for name, _ in read)
        order = sorted(sizes, key=lambda name: (self._rank(name), name))
        return [self._entry(name, sizes[name], [pairs for other, pairs in read if other == name]) for name in order]

    def _entry(self, name: str, size: int, objects: Sequence[Sequence[Pair]]) -> dict[str, object]:
        entry: dict[str, object] = {self.category_word: name}
        if self.count_word:
            entry[self.count_word] = size
        counts: dict[str, Counter[str]] = {}
        for key, value in chain.from_iterable(objects):
            if key not in (self.remark, self.group):
                counts.setdefault(key, Counter())[value] += 1
        if taken := sorted(counts.keys() & entry.keys()):
            raise ConfigError(
                f"an object of category {name!r} has an attribute {taken[0]!r}, which is a key of the summary; "
                f"choose another category_word or count_word"
            )
        return entry | {key: {value: counts[key][value] for value in sorted(counts[key])} for key in sorted(counts)}

    def _rank(self, name: str) -> int:
        return list(self.first).index(name) if name in self.first else len(self.first)

    def _pairs(self, desc: str) -> list[Pair]:
        """Return every (attribute, value) of a description, its category left out; each once, as it is one object."""
        found: dict[Pair, None] = {}
        for key, text in self._tokens(desc):
            values = [text] if key in self.texts or key == self.remark else text.split("|")
            found |= {(key, value.strip()): None for value in values if value.strip()}
        return list(found)

    def _tokens(self, desc: str) -> Iterator[Pair]:
        """Yield the attributes behind the category; free text takes the tokens that follow it and have no key."""
        waiting: Pair | None = None
        for token in desc.split(",")[1:]:
            key, equals, value = token.partition("=")
            if equals and key.strip():
                if waiting:
                    yield waiting
                waiting = (key.strip(), value)
            elif waiting and (waiting[0] in self.texts or waiting[0] == self.remark):
                waiting = (waiting[0], f"{waiting[1]},{token}")
        if waiting:
            yield waiting
