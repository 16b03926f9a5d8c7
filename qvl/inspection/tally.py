"""Counts that can be taken in pieces and put together again, in any number of processes with the same result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Numbers", "Words"]

_QUANTILES = (0.05, 0.5, 0.95, 0.99)


@dataclass(slots=True)
class Numbers:
    """How often each whole number came; quantiles of it are exact.

    Attributes:
        counts: Number to how often it came.
    """

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, value: int) -> None:
        """Count one number."""
        self.counts[value] += 1

    def update(self, values: Iterable[int]) -> None:
        """Count several numbers."""
        self.counts.update(values)

    def merge(self, other: Numbers) -> None:
        """Add what another part of the data counted."""
        self.counts.update(other.counts)

    @property
    def total(self) -> int:
        """How many numbers came."""
        return self.counts.total()

    def above(self, limit: int) -> int:
        """Return how many numbers are greater than the limit."""
        return sum(count for value, count in self.counts.items() if value > limit)

    def quantile(self, share: float) -> int:
        """Return the least number that at least a share of all numbers does not exceed.

        Args:
            share: From 0 to 1.

        Raises:
            ValueError: Nothing was counted.
        """
        wanted, seen = share * self.total, 0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= wanted:
                return value
        raise ValueError("nothing was counted")

    def as_json(self) -> dict[str, object]:
        """Return count, mean, least, greatest and quantiles; the count alone where nothing came."""
        if not self.counts:
            return {"count": 0}
        mean = sum(value * count for value, count in self.counts.items()) / self.total
        quantiles = {f"p{round(100 * share)}": self.quantile(share) for share in _QUANTILES}
        return {
            "count": self.total,
            "mean": round(mean, 3),
            "min": min(self.counts),
            **quantiles,
            "max": max(self.counts),
        }


@dataclass(slots=True)
class Words:
    """How often each text came; of very many different ones the rare ones are forgotten, and that is told.

    Attributes:
        counts: Text to how often it came.
        most: Different texts that are remembered at least; twice as many are held.
        forgotten: How often a text came that is no longer remembered.
    """

    counts: Counter[str] = field(default_factory=Counter)
    most: int = 20_000
    forgotten: int = 0

    def update(self, texts: Iterable[str]) -> None:
        """Count several texts."""
        self.add(Counter(texts))

    def add(self, counts: Counter[str]) -> None:
        """Count texts that have been counted already."""
        self.counts.update(counts)
        self._forget()

    def merge(self, other: Words) -> None:
        """Add what another part of the data counted; the order of the parts matters where texts are forgotten."""
        self.forgotten += other.forgotten
        self.add(other.counts)

    def top(self, count: int) -> list[tuple[str, int]]:
        """Return the most frequent texts with their counts; of equal ones the first by its characters."""
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))[:count]

    def as_json(self, count: int = 100) -> dict[str, object]:
        """Return how many different texts came and the most frequent ones."""
        return {"different": len(self.counts), "forgotten": self.forgotten, "top": dict(self.top(count))}

    def _forget(self) -> None:
        if len(self.counts) > 2 * self.most:
            kept = dict(self.top(self.most))
            self.forgotten += self.counts.total() - sum(kept.values())
            self.counts = Counter(kept)
