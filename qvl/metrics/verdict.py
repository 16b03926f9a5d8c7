"""Scores of verdicts: pass or fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class VerdictResult:
    """Scores of verdicts.

    A verdict that could not be read is wrong, but it is neither a pass nor a fail.

    Attributes:
        accuracy: Share of verdicts that are right.
        false_pass: Of those that should fail, the share that passed; None if none should fail.
        false_fail: Of those that should pass, the share that failed; None if none should pass.
        unreadable: Share of verdicts that could not be read.
        num_verdicts: Verdicts.
        num_should_fail: Those that should fail.
        num_false_pass: Those that should fail and passed.
        num_false_fail: Those that should pass and failed.
        num_unreadable: Those that could not be read.
    """

    accuracy: float
    false_pass: float | None
    false_fail: float | None
    unreadable: float
    num_verdicts: int
    num_should_fail: int
    num_false_pass: int
    num_false_fail: int
    num_unreadable: int

    def as_dict(self) -> dict[str, float]:
        """Return the shares by stable names such as `verdict/accuracy`; those that are not defined are left out."""
        names = ("accuracy", "false_pass", "false_fail", "unreadable")
        values = (self.accuracy, self.false_pass, self.false_fail, self.unreadable)
        return {f"verdict/{name}": value for name, value in zip(names, values, strict=True) if value is not None}


class VerdictMetric:
    """Counts right and wrong verdicts. The state can be pickled; `merge` joins several."""

    def __init__(self) -> None:
        """Start with no verdict."""
        self.reset()

    def reset(self) -> None:
        """Forget all verdicts."""
        self._num = self._num_should_fail = 0
        self._num_false_pass = self._num_false_fail = self._num_unreadable = 0

    def update(self, *, should_pass: bool, passed: bool | None) -> Self:
        """Add one verdict.

        Args:
            should_pass: Whether pass is right.
            passed: Whether the model said so; None if that could not be read.

        Returns:
            The metric itself.
        """
        self._num += 1
        self._num_should_fail += not should_pass
        self._num_unreadable += passed is None
        self._num_false_pass += passed is True and not should_pass
        self._num_false_fail += passed is False and should_pass
        return self

    def merge(self, other: VerdictMetric) -> Self:
        """Add the verdicts of another metric, which stays as it is."""
        self._num += other._num
        self._num_should_fail += other._num_should_fail
        self._num_unreadable += other._num_unreadable
        self._num_false_pass += other._num_false_pass
        self._num_false_fail += other._num_false_fail
        return self

    def compute(self) -> VerdictResult:
        """Return the scores of all verdicts since the last `reset`.

        Raises:
            ValueError: If there was none.
        """
        if not self._num:
            raise ValueError("no verdict to score: call update first")
        num_wrong = self._num_false_pass + self._num_false_fail + self._num_unreadable
        num_should_pass = self._num - self._num_should_fail
        return VerdictResult(
            accuracy=1.0 - num_wrong / self._num,
            false_pass=self._num_false_pass / self._num_should_fail if self._num_should_fail else None,
            false_fail=self._num_false_fail / num_should_pass if num_should_pass else None,
            unreadable=self._num_unreadable / self._num,
            num_verdicts=self._num,
            num_should_fail=self._num_should_fail,
            num_false_pass=self._num_false_pass,
            num_false_fail=self._num_false_fail,
            num_unreadable=self._num_unreadable,
        )
