"""The folder of an evaluation: made by it, refused if it is something else, and the figures in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from qvl import __version__
from qvl.errors import ConfigError
from qvl.evaluation.results import Evaluation
from qvl.runtime.files import sha256_of, write_json

__all__ = ["check_folder", "open_folder", "write_figures"]

_MARK: Final = "evaluation.json"
"""Tells what the folder is the evaluation of."""


def check_folder(folder: Path, subject: str) -> None:
    """Make sure that an evaluation may be written into a folder: there is none, it is empty, or holds the same one.

    Args:
        folder: Where figures and page will be.
        subject: What is evaluated, in words.

    Raises:
        ConfigError: It holds something else, or the folder around it does not exist.
    """
    if not folder.parent.is_dir():
        raise ConfigError(f"out: {folder}: there is no folder {folder.parent}")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"out: {folder} is a file; choose the name of a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    try:
        before = json.loads((folder / _MARK).read_text(encoding="utf-8"))["evaluation_of"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"out: {folder} is not empty and was not made by an evaluation; choose another folder"
        ) from error
    if before != subject:
        raise ConfigError(f"out: {folder} holds the evaluation of {before}, not of {subject}; choose another folder")


def open_folder(folder: Path, subject: str) -> None:
    """Make the folder and leave the mark in it.

    Raises:
        ConfigError: It cannot be made, or see `check_folder`.
    """
    check_folder(folder, subject)
    try:
        folder.mkdir(exist_ok=True)
        write_json(folder / _MARK, {"evaluation_of": subject})
    except OSError as error:
        raise ConfigError(f"out: {folder} cannot be written: {error.strerror}") from error


def write_figures(path: Path, evaluation: Evaluation, *, files: Mapping[str, str | Path | None]) -> None:
    """Write everything that an evaluation found, and which files it was made of.

    Args:
        path: Where.
        evaluation: What was found.
        files: What it was made of, by name; None and folders are left out.

    Raises:
        OSError: It cannot be written.
    """
    named = {name: Path(file).absolute() for name, file in files.items() if file is not None}
    told = {name: {"path": str(file), "sha256": sha256_of(file)} for name, file in named.items() if file.is_file()}
    write_json(path, {"qvl_version": __version__, "files": told, **evaluation.as_dict()})
