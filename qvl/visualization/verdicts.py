"""What became of the objects and facts of each picture, and the scores that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import PurePath

from qvl.conversation import TextObject
from qvl.evaluation import Prediction
from qvl.geometry import Shape
from qvl.metrics import CategoryResult, DetectionResult, SummaryResult

__all__ = ["FactVerdict", "Failure", "Outcome", "PictureReport", "Report", "Verdict"]


class Outcome(Enum):
    """What became of an object or a fact, of the truth or of the prediction."""

    MATCHED = "matched"
    MISSED = "missed"
    WRONG = "wrong"
    MALFORMED = "malformed"


class Failure(Enum):
    """A way in which the answer about a picture went wrong; the rules are those of `qvl.metrics.picture_failures`."""

    NOT_ANSWERED = "not answered"
    TRUNCATED = "truncated"
    LOOPING = "looping"
    SILENT = "silent"
    UNREADABLE = "unreadable summary"
    MALFORMED = "malformed object"
    DUPLICATE = "duplicate"
    OVERSIZE = "oversize"
    OUT_OF_GRID = "out of grid"
    FAULTY = "fault of the text"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One object and what became of it.

    Attributes:
        item: The object.
        shape: Its shape on the 0..1000 grid; None if its numbers make none.
        outcome: MATCHED or MISSED for the truth; MATCHED, WRONG or MALFORMED for a prediction.
        note: Why, in a few words; objects are counted from 1.
        desc_differs: Whether it is matched with an object of another description.
        failures: What is wrong with it besides; () for the truth.
        score: How sure the model was, None if that is not known.
    """

    item: TextObject
    shape: Shape | None
    outcome: Outcome
    note: str
    desc_differs: bool = False
    failures: tuple[Failure, ...] = ()
    score: float | None = None


@dataclass(frozen=True, slots=True)
class FactVerdict:
    """One fact of a summary.

    Attributes:
        category: What it is about.
        attribute: Name of the attribute that is told, "" where the category itself is counted.
        value: Of the attribute.
        num_true: How often it is annotated.
        num_said: How often the model said it.
    """

    category: str
    attribute: str
    value: str
    num_true: int
    num_said: int

    @property
    def outcome(self) -> Outcome:
        """MATCHED if it is told as often as it is annotated, MISSED or WRONG if less or more often."""
        if self.num_said == self.num_true:
            return Outcome.MATCHED
        return Outcome.MISSED if self.num_said < self.num_true else Outcome.WRONG


@dataclass(frozen=True, slots=True)
class PictureReport:
    """One picture: its row, and a verdict on each object in the order of the row, or on each fact.

    Attributes:
        prediction: The row.
        f1: Of its objects or facts; 1 where there is nothing to find and nothing was said. Of an annotated summary that
            is free text: 1 if the model wrote the same, else 0.
        truth: Of the annotated objects.
        predicted: Of those that the model named.
        facts: Of a summary, annotated and said.
        failures: What went wrong in the answer.
        other: The same picture in another run that this one is compared with.
    """

    prediction: Prediction
    f1: float
    truth: tuple[Verdict, ...] = ()
    predicted: tuple[Verdict, ...] = ()
    facts: tuple[FactVerdict, ...] = ()
    failures: frozenset[Failure] = frozenset()
    other: PictureReport | None = None

    @property
    def num_true(self) -> int:
        """Annotated objects or facts."""
        return len(self.truth) + sum(fact.num_true for fact in self.facts)

    @property
    def num_said(self) -> int:
        """Objects that the model named, those without a possible shape included, or facts."""
        return len(self.predicted) + sum(fact.num_said for fact in self.facts)

    @property
    def num_matched(self) -> int:
        """Pairs of objects, or facts that are right."""
        pairs = sum(verdict.outcome is Outcome.MATCHED for verdict in self.truth)
        return pairs + sum(min(fact.num_true, fact.num_said) for fact in self.facts)

    @property
    def num_errors(self) -> int:
        """Objects or facts without a partner, on both sides."""
        return self.num_true + self.num_said - 2 * self.num_matched

    @property
    def lowest_score(self) -> float | None:
        """Of the object that the model was least sure of; None if that is not known."""
        return min((verdict.score for verdict in self.predicted if verdict.score is not None), default=None)

    @property
    def f1_difference(self) -> float:
        """F1 less that of the other run; 0 without one."""
        return 0.0 if self.other is None else self.f1 - self.other.f1

    def count(self, kind: Failure) -> int:
        """Return how many of its predicted objects fail in a way."""
        return sum(kind in verdict.failures for verdict in self.predicted)


@dataclass(frozen=True, slots=True)
class Report:
    """All pictures of a predictions file, in its order.

    Attributes:
        pictures: One report a picture.
        scores: Over all pictures that were asked for objects, None if there are none.
        summary: Over all whose annotated summary states facts, None if there are none.
        threshold: Smallest overlap of a match.
        line_tolerance: Half width of a line's tube in grid units.
    """

    pictures: tuple[PictureReport, ...]
    scores: DetectionResult | None
    summary: SummaryResult | None
    threshold: float
    line_tolerance: float

    @property
    def headline(self) -> str:
        """What a line of text tells of the scores."""
        told = []
        if (scores := self.scores) is not None:
            told.append(f"F1 {scores.f1:.3f}, precision {scores.precision:.3f}, recall {scores.recall:.3f}")
        if (summary := self.summary) is not None:
            told.append(f"F1 of summaries {summary.f1:.3f}, {summary.exact_match:.3f} of them word for word")
        return f"{'; '.join(told) or 'nothing to score'} over {len(self.pictures)} pictures"

    @property
    def per_category(self) -> dict[str, Mapping[str, CategoryResult]]:
        """Scores of each category, of objects and of summaries, under a caption."""
        sides = {"Categories": self.scores, "Categories of summaries": self.summary}
        return {caption: result.per_category for caption, result in sides.items() if result is not None}

    def beside(self, other: Report) -> Report:
        """Return this report with that of another run beside each picture.

        Args:
            other: About the same pictures in the same order.

        Raises:
            ValueError: It is about others.
        """
        if len(self.pictures) != len(other.pictures):
            raise ValueError(f"{len(self.pictures)} pictures cannot be compared with {len(other.pictures)}")
        for one, two in zip(self.pictures, other.pictures, strict=True):
            if _identity(one) != _identity(two):
                raise ValueError(f"{one.prediction.where} and {two.prediction.where} are not about the same picture")
        pairs = zip(self.pictures, other.pictures, strict=True)
        return replace(self, pictures=tuple(replace(one, other=two) for one, two in pairs))

    def select(self, num_samples: int | None, *, worst_first: bool) -> tuple[PictureReport, ...]:
        """Return at most `num_samples` pictures, None for all: the worst first, or in the order of the file.

        The worst one has the lowest F1, then the most errors. Beside another run it is the one that loses most F1.
        """
        if not worst_first:
            return self.pictures[:num_samples]
        ranked = sorted(self.pictures, key=lambda one: (one.f1_difference, one.f1, -one.num_errors))
        return tuple(ranked[:num_samples])


def _identity(picture: PictureReport) -> tuple[str, int, bool]:
    prediction = picture.prediction
    return PurePath(prediction.image).name, len(picture.truth), prediction.summary is None
