"""Summaries for rows that have objects only."""

from __future__ import annotations

from collections.abc import Mapping

from qvl.conversation import SummaryWriter
from qvl.data.preprocess import BasePreprocessor

__all__ = ["AddSummary"]


class AddSummary(BasePreprocessor):
    """Writes the summary of every row that has none, from its objects."""

    def __init__(self, *, writer: SummaryWriter | None = None, empty: str | None = None, replace: bool = False) -> None:
        """Say how summaries are written.

        Args:
            writer: Counts the objects; None for one with Chinese words.
            empty: The answer to a picture without objects, such as `qvl.conversation.IRRELEVANT`; None leaves such a
                row without a summary, and the check of the rows refuses it.
            replace: Write the summary anew where a row has objects and a summary.
        """
        self.writer = writer or SummaryWriter()
        self.empty = empty
        self.replace = replace

    def preprocess(self, row: Mapping[str, object]) -> Mapping[str, object]:
        """Return the row with a summary; a row whose objects have no descriptions stays as it is, to be refused."""
        if row.get("summary") is not None and not (self.replace and row.get("objects")):
            return row
        objects = row.get("objects") or []
        if not objects:
            return row if self.empty is None else {**row, "summary": self.empty}
        descs = _descs(objects)
        return {**row, "summary": self.writer.write(descs)} if descs else row


def _descs(objects: object) -> list[str]:
    """Return the descriptions, [] if there is anything else among the objects."""
    items = objects if isinstance(objects, list) else [None]
    descs = [item.get("desc") if isinstance(item, Mapping) else None for item in items]
    texts = [desc for desc in descs if isinstance(desc, str) and desc.strip()]
    return texts if len(texts) == len(items) else []
