"""Names of scores: how they read in a table, and which direction is the good one."""

from __future__ import annotations

import re
from typing import Final

from qvl.metrics.coco import KINDS

HEADLINE: Final = (
    "loss",
    "detection/f1_50",
    "detection/f1_50_95",
    "detection/precision_50",
    "detection/recall_50",
    "detection/rate_faulty",
    "summary/f1",
    "summary/exact_match",
)
"""What is shown where there is no room for everything, in this order."""

_LABELS: Final = {
    "loss": "loss",
    "token_acc": "tokens foretold",
    "detection/f1_50": "F1@0.5",
    "detection/f1_50_95": "F1@0.5:0.95",
    "detection/precision_50": "precision@0.5",
    "detection/recall_50": "recall@0.5",
    "detection/f1_any_category_50": "F1@0.5, any category",
    "detection/f1_any_category_50_95": "F1@0.5:0.95, any category",
    "detection/description_equality": "descriptions word for word",
    "detection/attribute_accuracy": "right attributes",
    "detection/count_error": "objects too many or too few",
    "detection/count_bias": "objects too many less too few",
    "detection/count_exact": "pictures with the right count",
    "detection/rate_faulty": "answers with a fault",
    "detection/rate_truncated": "answers cut off",
    "detection/rate_looping": "answers that loop",
    "detection/rate_silent": "answers without an object",
    "detection/rate_malformed": "objects without a shape",
    "detection/rate_duplicate": "objects said twice",
    "detection/rate_oversize": "objects over the whole picture",
    "detection/rate_out_of_grid": "objects beyond the picture",
    **{f"detection/ap_{kind}": f"AP of {kind}" for kind in KINDS},
    **{f"detection/ap_{part}_{kind}": f"AP@0.{part} of {kind}" for kind in KINDS for part in (50, 75)},
    **{f"detection/ar_{most}_{kind}": f"AR of {kind}, at most {most}" for kind in KINDS for most in (1, 10, 100)},
    "summary/f1": "summaries: F1",
    "summary/precision": "summaries: precision",
    "summary/recall": "summaries: recall",
    "summary/exact_match": "summaries word for word",
    "summary/same_facts": "summaries with all facts",
    "summary/readable": "summaries that can be read",
    "verdict/accuracy": "right verdicts",
    "verdict/false_pass": "passed, should fail",
    "verdict/false_fail": "failed, should pass",
    "verdict/unreadable": "verdicts that cannot be read",
}
_OF_CATEGORY: Final = re.compile(
    rf"detection/category/(?P<category>.+)/(?P<figure>f1_50|precision_50|recall_50|count_error|ap_(?:{'|'.join(KINDS)}))",
    re.DOTALL,
)
_OF_FAULT: Final = re.compile(r"detection/fault/(?P<code>[a-z0-9_]+)")
_LOWER: Final = re.compile(r"loss|loss_.*|.*_loss|rate_.*|count_error|false_pass|false_fail|unreadable", re.DOTALL)


def is_score(name: str) -> bool:
    """Tell whether a name is that of a score: of the trainer, or of a report about objects, summaries or verdicts.

    Args:
        name: Such as `detection/f1_50`, without the prefix `eval_` of the trainer.
    """
    return name in _LABELS or bool(_OF_CATEGORY.fullmatch(name) or _OF_FAULT.fullmatch(name))


def label_of(name: str) -> str:
    """Return what stands for a score in a table: a few words, or the name itself if it is not known."""
    if found := _OF_CATEGORY.fullmatch(name):
        return f"{found['category']}: {_LABELS['detection/' + found['figure']]}"
    if found := _OF_FAULT.fullmatch(name):
        return f"answers with {found['code']}"
    return _LABELS.get(name, name)


def higher_is_better(name: str) -> bool:
    """Tell whether the greater one of two values of a score is the better one.

    Losses, rates of failures, errors and false verdicts are better low; everything else, also a score that is not
    known here, is better high.

    Args:
        name: Name of a score, with or without the prefix `eval_` of the trainer.

    Raises:
        ValueError: If neither direction is the better one.
    """
    name = name.removeprefix("eval_")
    if name == "detection/count_bias":
        raise ValueError(f"{name} is best at 0, not at its highest or lowest; take detection/count_error")
    return not (_OF_FAULT.fullmatch(name) or _LOWER.fullmatch(name.rpartition("/")[2]))
