"""The words of a writer of summaries, told from what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from qvl.conversation import SummaryWriter
from qvl.metrics import read_summary

__all__ = ["find_writer"]


def find_writer(texts: Iterable[str]) -> SummaryWriter:
    """Return a writer whose words are those of the first text that is a summary; the usual one if none is.

    The keys of a summary stand in a fixed order: the list of categories first, and in each of its entries the category,
    then the number of objects if there is one, which unlike an attribute is a number.

    Args:
        texts: Annotated summaries.
    """
    for text in texts:
        for writer in _guesses(text):
            if read_summary(text, writer=writer) is not None:
                return writer
    return SummaryWriter()


def _guesses(text: str) -> Iterator[SummaryWriter]:
    """Yield the writer that may have written a text."""
    try:
        summary = json.loads(text)
    except (ValueError, RecursionError):
        return
    if not isinstance(summary, Mapping) or not summary:
        return
    word, entries = next(iter(summary.items()))
    if not word or not isinstance(entries, list) or not entries or not isinstance(entries[0], Mapping):
        return
    keys = list(entries[0])
    if not keys or not keys[0]:
        return
    has_count = len(keys) > 1 and isinstance(entries[0][keys[1]], int)
    yield SummaryWriter(
        statistics_word=word,
        category_word=keys[0],
        count_word=keys[1] if has_count else "",
        remarks_word=f"{word} (remarks)",  # is no fact: never read, but has to be another word
        groups_word=f"{word} (groups)",
    )
