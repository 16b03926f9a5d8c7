"""How often answers go wrong in the ways that people ask for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from qvl.metrics.objects import LINE, Flags, Integers, Labelled, Objects, pack
from qvl.metrics.overlaps import LINE_TOLERANCE, iter_overlaps

GRID: Final = 1000.0
"""Units across and down a picture."""

DUPLICATE_OVERLAP: Final = 0.9
OVERSIZE_SHARE: Final = 0.9
LOOP_REPEATS: Final = 4

_LOOP_CHARACTERS: Final = 64
_TAIL_CHARACTERS: Final = 8192
_PROBE_CHARACTERS: Final = 16
_MAX_PROBES: Final = 32
_NUMBER_OF_KEY: Final = re.compile(r'_[0-9]+(?=")')
_SAME: Final = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of the answer about one picture besides its objects.

    Attributes:
        num_malformed: Objects without a possible shape: they match nothing and count as predicted.
        faults: Codes of what the parser found, each as often as it found it.
        is_truncated: Whether the limit of tokens cut the answer off.
        text: What the model wrote; searched for loops. "" if it is not known.
    """

    num_malformed: int = 0
    faults: Sequence[str] = ()
    is_truncated: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class FailureRates:
    """Shares in [0, 1]; 0 where there is nothing to fail.

    Attributes:
        faulty: Of the answers, those with a fault of the parser.
        truncated: Of the answers, those that were cut off.
        looping: Of the answers, those that say the same object, or end in the same text, `LOOP_REPEATS` times.
        silent: Of the answers, those without any object where there is something to find.
        malformed: Of the predicted objects, those without a possible shape.
        duplicate: Of the predicted objects, those that match nothing and overlap one of the same category, which
            matches or stands earlier, by `DUPLICATE_OVERLAP`.
        oversize: Of the predicted objects, boxes and polygons whose bounds cover more than `OVERSIZE_SHARE` of the
            picture, where nothing annotated does.
        out_of_grid: Of the predicted objects, those that reach beyond the picture.
        by_fault: Of the answers, those with each code of the parser.
    """

    faulty: float
    truncated: float
    looping: float
    silent: float
    malformed: float
    duplicate: float
    oversize: float
    out_of_grid: float
    by_fault: Mapping[str, float]

    def as_dict(self) -> dict[str, float]:
        """Return the rates by name, `rate_<name>`, and `fault/<code>`."""
        rates = {
            "rate_faulty": self.faulty,
            "rate_truncated": self.truncated,
            "rate_looping": self.looping,
            "rate_silent": self.silent,
            "rate_malformed": self.malformed,
            "rate_duplicate": self.duplicate,
            "rate_oversize": self.oversize,
            "rate_out_of_grid": self.out_of_grid,
        }
        return rates | {f"fault/{code}": rate for code, rate in self.by_fault.items()}


@dataclass(frozen=True, slots=True)
class Failures:
    """What went wrong in the answers about P pictures, which name N objects with a possible shape.

    Attributes:
        truncated: (P,) answers that were cut off.
        looping: (P,) answers that say the same again and again.
        silent: (P,) answers without any object where there is something to find.
        num_malformed: (P,) objects without a possible shape.
        duplicate: (N,) objects that repeat another one.
        oversize: (N,) objects that cover the picture where nothing annotated does.
        out_of_grid: (N,) objects that reach beyond the picture.
    """

    truncated: Flags
    looping: Flags
    silent: Flags
    num_malformed: Integers
    duplicate: Flags
    oversize: Flags
    out_of_grid: Flags


def picture_failures(
    truth: Sequence[Labelled],
    predicted: Sequence[Labelled],
    answer: Answer,
    *,
    matched: Iterable[int],
    line_tolerance: float = LINE_TOLERANCE,
) -> Failures:
    """Return what went wrong in the answer about one picture, by the rules of the rates.

    Args:
        truth: Annotated objects on the 0..1000 grid.
        predicted: Predicted objects on that grid.
        answer: What else is known of the answer.
        matched: Indices of the predicted objects that have a partner.
        line_tolerance: Half the width of the tube around a line, > 0.
    """
    numbers: dict[str, int] = {}
    sides = pack([truth], numbers), pack([predicted], numbers)
    is_matched: Flags = np.zeros(len(predicted), dtype=np.bool_)
    is_matched[list(matched)] = True
    return find_failures([answer], *sides, is_matched=is_matched, line_tolerance=line_tolerance)


def find_failures(
    answers: Sequence[Answer], truth: Objects, predicted: Objects, *, is_matched: Flags, line_tolerance: float
) -> Failures:
    """Return what went wrong in the answers about many pictures.

    Args:
        answers: One a picture, at least one.
        truth: Annotated objects on the 0..1000 grid.
        predicted: Predicted objects on that grid.
        is_matched: (N,) of each predicted object, whether it has a partner.
        line_tolerance: Half the width of the tube around a line, > 0.
    """
    num_answers = len(answers)
    num_malformed = np.array([answer.num_malformed for answer in answers], dtype=np.intp)
    num_said = np.bincount(predicted.picture, minlength=num_answers) + num_malformed
    num_true = np.bincount(truth.picture, minlength=num_answers)
    is_duplicate, repeats = _repetitions(predicted, is_matched, line_tolerance)
    is_looping = np.array([ends_in_loop(answer.text) for answer in answers], dtype=np.bool_)
    is_looping[predicted.picture[repeats >= LOOP_REPEATS]] = True
    outside = (predicted.bounds.min(axis=1, initial=0.0) < 0) | (predicted.bounds.max(axis=1, initial=0.0) > GRID)
    return Failures(
        truncated=np.array([answer.is_truncated for answer in answers], dtype=np.bool_),
        looping=is_looping,
        silent=np.asarray((num_said == 0) & (num_true > 0)),
        num_malformed=num_malformed,
        duplicate=is_duplicate,
        oversize=_is_oversize(truth, predicted),
        out_of_grid=np.asarray(outside),
    )


def failure_rates(answers: Sequence[Answer], failures: Failures) -> FailureRates:
    """Return how often the answers about pictures fail.

    Args:
        answers: One a picture, at least one.
        failures: What went wrong in them.
    """
    num_answers = len(answers)
    num_malformed = int(failures.num_malformed.sum())
    num_objects = max(len(failures.duplicate) + num_malformed, 1)
    codes = Counter(code for answer in answers for code in set(answer.faults))
    return FailureRates(
        faulty=sum(bool(answer.faults) for answer in answers) / num_answers,
        truncated=int(failures.truncated.sum()) / num_answers,
        looping=float(failures.looping.mean()),
        silent=float(failures.silent.mean()),
        malformed=num_malformed / num_objects,
        duplicate=int(failures.duplicate.sum()) / num_objects,
        oversize=int(failures.oversize.sum()) / num_objects,
        out_of_grid=int(failures.out_of_grid.sum()) / num_objects,
        by_fault={code: codes[code] / num_answers for code in sorted(codes)},
    )


def ends_in_loop(text: str) -> bool:
    """Tell whether a text ends in the same words again and again, the numbers of keys such as `object_7` aside.

    The unit stands at least `LOOP_REPEATS` times and fills at least 64 characters; closing brackets behind it do not
    count. Takes time for the last 8192 characters only.
    """
    tail = _NUMBER_OF_KEY.sub("_", text[-_TAIL_CHARACTERS:].rstrip(" \t\r\n]},"))
    return any(
        tail.endswith(tail[-length:] * max(LOOP_REPEATS, -(-_LOOP_CHARACTERS // length))) for length in _distances(tail)
    )


def _distances(tail: str) -> Iterator[int]:
    """Yield how far back the last characters stand once more, the nearest first."""
    probe, end = tail[-_PROBE_CHARACTERS:], len(tail) - 1
    for _ in range(_MAX_PROBES):
        found = tail.rfind(probe, 0, end) if probe else -1
        distance = len(tail) - len(probe) - found
        if found < 0 or distance * LOOP_REPEATS > len(tail):
            return
        yield distance
        end = found + len(probe) - 1


def _repetitions(predicted: Objects, is_matched: Flags, line_tolerance: float) -> tuple[Flags, Integers]:
    """Return which objects are duplicates, and how often each was said up to there, with its place and category."""
    is_duplicate = np.zeros(len(predicted.items), dtype=np.bool_)
    repeats = np.ones(len(predicted.items), dtype=np.intp)
    for part in iter_overlaps(
        predicted, predicted, minimum=DUPLICATE_OVERLAP, line_tolerance=line_tolerance, same_category=True
    ):
        later_fails = ~is_matched[part.right]
        is_duplicate[part.right[later_fails]] = True
        is_duplicate[part.left[~later_fails & ~is_matched[part.left]]] = True
        repeats += np.bincount(part.right[part.value >= _SAME], minlength=len(repeats))
    return is_duplicate, repeats


def _is_oversize(truth: Objects, predicted: Objects) -> Flags:
    """Tell which predicted objects cover the picture where no annotated one does."""
    large_truth, large = _is_large(truth), _is_large(predicted)
    return np.asarray(large & ~np.isin(predicted.picture, truth.picture[large_truth]))


def _is_large(objects: Objects) -> Flags:
    x1, y1, x2, y2 = objects.bounds.clip(0.0, GRID).T
    return np.asarray(((x2 - x1) * (y2 - y1) > OVERSIZE_SHARE * GRID * GRID) & (objects.kind != LINE))
