"""The rows that are worth a look: of every kind of finding those that have most of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from qvl.records import Finding

__all__ = ["Suspect", "Suspects"]

_MOST_FINDINGS = 40


class Suspect(NamedTuple):
    """A row with findings.

    Attributes:
        number: Its number in the file, from 0.
        findings: What is wrong with it; of very many the first ones.
        weight: How many there are.
    """

    number: int
    findings: tuple[Finding, ...]
    weight: int = 0


@dataclass(slots=True)
class Suspects:
    """Rows with findings, a few of each code.

    Attributes:
        rows: By code, those with most findings of it first.
    """

    rows: dict[str, list[Suspect]] = field(default_factory=dict)

    def add(self, number: int, findings: Iterable[Finding], *, most: int) -> None:
        """Remember a row.

        Args:
            number: Of the row.
            findings: Its findings.
            most: Rows that are remembered of each code.
        """
        found = tuple(findings)
        for code, count in Counter(finding.code for finding in found).items():
            self._keep(code, [Suspect(number, found[:_MOST_FINDINGS], count)], most)

    def merge(self, other: Suspects, *, most: int) -> None:
        """Add the rows of a later part of the file."""
        for code, rows in other.rows.items():
            self._keep(code, rows, most)

    def choose(self, count: int) -> list[Suspect]:
        """Return at most `count` different rows: of each code in turn the worst one, fatal codes first."""
        fatal = {code for code, rows in self.rows.items() for row in rows[:1] for one in row.findings if _is(one, code)}
        codes = sorted(self.rows, key=lambda code: (code not in fatal, code))
        chosen: dict[int, Suspect] = {}
        for turn in range(max((len(rows) for rows in self.rows.values()), default=0)):
            for code in codes:
                if turn < len(self.rows[code]) and len(chosen) < count:
                    row = self.rows[code][turn]
                    chosen.setdefault(row.number, row)
        return list(chosen.values())

    def _keep(self, code: str, rows: list[Suspect], most: int) -> None:
        kept = self.rows.setdefault(code, [])
        if len(kept) < most or rows[0].weight > kept[-1].weight:
            self.rows[code] = sorted([*kept, *rows], key=lambda row: (-row.weight, row.number))[:most]


def _is(finding: Finding, code: str) -> bool:
    return finding.fatal and finding.code == code
