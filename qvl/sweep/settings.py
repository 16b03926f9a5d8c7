"""Keys and values that were given on a command line, and which of them tell jobs apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain, takewhile

__all__ = [
    "SEED",
    "as_number",
    "canonical",
    "read_override",
    "shared_folder",
    "short_names",
    "swept_keys",
    "tell_settings",
]

SEED = "seed"
"""The key whose values are repetitions of the same settings."""

_MOST_EXACT = 2**53  # larger numbers are names: as floats two of them may look the same
_WORDS = ("true", "false", "null")


def read_override(text: str) -> tuple[str, str] | None:
    """Return key and value of an override such as `a=1`, `+a=1`, `++a='x y'` or `~a`.

    Returns:
        The key without its sign and the value without its quotes; None for what is no override, and for
        `hydra.` keys, which say nothing about the run.
    """
    key, sign, value = text.strip().partition("=")
    is_deletion = key.startswith("~")
    key = key.lstrip("+~").strip()
    if not key or not (sign or is_deletion) or key == "hydra" or key.startswith(("hydra.", "hydra/")):
        return None
    if is_deletion:
        return key, "(deleted)"
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return key, value


def as_number(text: str) -> float | None:
    """Return the finite number that a value stands for, None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < _MOST_EXACT else None


def canonical(text: str) -> str:
    """Return the same text for values that mean the same: 1e-4 and 0.0001, True and true."""
    number = as_number(text)
    if number is not None:
        return repr(number + 0.0)  # no negative zero
    return text.lower() if text.lower() in _WORDS else text


def swept_keys(jobs: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the keys whose values differ between jobs, in order of appearance, the seed last.

    A key that a job does not have counts as a value of its own.

    Args:
        jobs: The settings of each job.
    """
    names = dict.fromkeys(chain.from_iterable(jobs))
    found = [name for name in names if len({canonical(job[name]) if name in job else None for job in jobs}) > 1]
    return sorted(found, key=lambda name: name == SEED)


def shared_folder(values: Sequence[str]) -> str:
    """Return the folder that all of several paths begin with, with its last slash; "" if there is none."""
    if len(values) < 2:
        return ""
    parts = [value.split("/")[:-1] for value in values]
    shared = list(takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False)))
    folder = "".join(f"{names[0]}/" for names in shared)
    return folder if len(folder) > 1 else ""


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the end of each key, as many of its parts as tell it from the others."""
    names = {}
    for key in keys:
        parts = key.split(".")
        ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [f".{other}" for other in keys if other != key]
        names[key] = next((end for end in ends if not any(other.endswith(f".{end}") for other in others)), key)
    return names


def tell_settings(settings: Mapping[str, str], keys: Sequence[str]) -> str:
    """Return `key=value, ...` of some keys, by the ends of their names; "" if none of them is there."""
    return ", ".join(f"{name}={settings[key]}" for key, name in short_names(keys).items() if key in settings)
