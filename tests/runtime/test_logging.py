"""One process talks, the others only warn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.logging import RichHandler

from qvl.runtime import configure_logging


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("qvl")
    handlers, levels = list(root.handlers), (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def console_handlers() -> list[logging.Handler]:
    return [
        handler for handler in logging.getLogger().handlers if type(handler) in (logging.StreamHandler, RichHandler)
    ]


def test_rank_0_talks_at_the_level_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", 0)
    logging.getLogger("qvl.train").info("[seed] %s", "x" * 90)
    logging.getLogger("qvl.train").debug("too much")
    logging.getLogger("elsewhere").info("noise")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "[seed] " + "x" * 90 in captured.err
    assert "too much" not in captured.err
    assert "noise" not in captured.err


def test_other_ranks_only_warn_and_say_who_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", 3)
    logging.getLogger("qvl.train").info("progress")
    logging.getLogger("qvl.train").warning("trouble")
    assert capsys.readouterr().err == "[rank 3] WARNING qvl.train: trouble\n"


def test_configuring_twice_is_the_same_as_once_and_keeps_log_files(tmp_path: Path) -> None:
    file = logging.FileHandler(tmp_path / "job.log")
    logging.getLogger().addHandler(file)
    for rank in (0, 1, 0):
        configure_logging("INFO", rank)
    assert len(console_handlers()) == 1
    assert file in logging.getLogger().handlers
    file.close()


def test_an_unknown_level_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"DEBUG.*got 'LOUD'"):
        configure_logging("LOUD", 0)
