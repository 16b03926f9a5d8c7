"""What a model is asked: what it was trained for, or what the user says where that is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from qvl.conversation import Prompts
from qvl.data import CONTRACT_NAME, Contract, TurnFormat, check_contract, load_contract
from qvl.errors import ConfigError

__all__ = ["agree"]

_UNKNOWN: Final = ("emit_norm", "min_pixels", "max_pixels")
"""What has to be said where there is no contract; the rest has one usual value."""
_USUAL: Final = {"order": "tlbr", "side_factor": 32}
_MODES: Final = ("dense", "summary")


def agree(folder: Path | None, *, mode: str | None, prompts: Prompts | None, form: Mapping[str, Any]) -> Contract:
    """Return the contract that a model is used by.

    Args:
        folder: Where its weights lie; None for an id of a hub.
        mode: `dense` or `summary`; None for that of the contract, `dense` where there is none.
        prompts: What the user wants to ask; None for the prompts of the contract.
        form: Fields of `TurnFormat` that the user sets, others None or missing.

    Raises:
        CheckpointError: The contract cannot be read, or the user asks for something else than it says.
        ConfigError: There is no contract and something is not said, or a value is not one of the choices.
    """
    if mode not in (None, *_MODES):
        raise ConfigError(f"mode: {mode!r} is not one of {', '.join(_MODES)}")
    given = {key: value for key, value in form.items() if value is not None}
    if folder is None or not (folder / CONTRACT_NAME).is_file():
        return _said(folder, mode or "dense", prompts, given)
    contract = load_contract(folder)
    wanted = replace(contract.form, **given)
    if mode in (None, contract.mode):
        check_contract(contract, wanted, contract if prompts is None else prompts)
        return contract
    if prompts is None:
        raise ConfigError(f"mode: {folder} was trained for {contract.mode}; if for {mode} too, add prompts=NAME")
    check_contract(contract, wanted, contract)
    return replace(contract, mode=mode, system=prompts.system, user=prompts.user)


def _said(folder: Path | None, mode: str, prompts: Prompts | None, given: Mapping[str, Any]) -> Contract:
    """Make a contract of what the user says."""
    missing = ["prompts=NAME"] * (prompts is None) + [f"form.{key}=VALUE" for key in _UNKNOWN if key not in given]
    if prompts is None or missing:
        where = "the model" if folder is None else str(folder)
        raise ConfigError(
            f"{where}: there is no {CONTRACT_NAME}, so it is not known what the model was trained to be asked; "
            f"say it as in its training: {' '.join(missing)}"
        )
    form = TurnFormat(**{**_USUAL, **given, "image_label": prompts.image_label})
    try:
        return Contract(**asdict(form), mode=mode, system=prompts.system, user=prompts.user)
    except ValueError as error:
        raise ConfigError(f"form.{error}") from error
