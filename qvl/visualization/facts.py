"""Which facts of a summary are right, missed or wrong."""

from __future__ import annotations

from qvl.conversation import SummaryWriter
from qvl.evaluation import Prediction
from qvl.metrics import ends_in_loop, read_summary
from qvl.visualization.verdicts import FactVerdict, Failure, PictureReport

__all__ = ["judge_summary"]


def judge_summary(prediction: Prediction, annotated: str, said: str, *, writer: SummaryWriter) -> PictureReport:
    """Compare what was said with the annotated summary, fact by fact.

    Args:
        prediction: The row.
        annotated: Its annotated text; where it states no facts, only the texts are compared.
        said: What the model wrote.
        writer: Its words are the keys that are read.
    """
    truth, found = read_summary(annotated, writer=writer), read_summary(said, writer=writer)
    failures = set(_failures(prediction, is_unreadable=truth is not None and found is None))
    if truth is None:
        return PictureReport(prediction, float(annotated.strip() == said.strip()), failures=frozenset(failures))
    told = found if found is not None else type(truth)()
    facts = tuple(FactVerdict(*key, truth[key], told[key]) for key in dict.fromkeys([*truth, *told]))
    total = truth.total() + told.total()
    f1 = 2 * (truth & told).total() / total if total else float(found is not None)
    return PictureReport(prediction, f1, facts=facts, failures=frozenset(failures))


def _failures(prediction: Prediction, *, is_unreadable: bool) -> list[Failure]:
    held = {
        Failure.NOT_ANSWERED: prediction.error is not None,
        Failure.TRUNCATED: prediction.finish_reason == "length",
        Failure.LOOPING: ends_in_loop(prediction.completion),
        Failure.UNREADABLE: is_unreadable,
        Failure.FAULTY: bool(prediction.faults) or prediction.error is not None,
    }
    return [kind for kind, holds in held.items() if holds]
