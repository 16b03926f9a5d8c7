"""The place of a process in its run comes from the environment."""

from __future__ import annotations

import pytest

from qvl.errors import ConfigError
from qvl.runtime import Rank, rank_from_environment


@pytest.mark.parametrize(
    ("environ", "rank", "is_main"),
    [
        ({}, Rank(0, 0, 1), True),  # a plain process
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "8"}, Rank(0, 0, 8), True),
        ({"RANK": "9", "LOCAL_RANK": "1", "WORLD_SIZE": "16"}, Rank(9, 1, 16), False),  # second machine
    ],
)
def test_rank_is_what_torchrun_sets(environ: dict[str, str], rank: Rank, is_main: bool) -> None:
    assert rank_from_environment(environ) == rank
    assert rank.is_main is is_main


@pytest.mark.parametrize(
    "environ",
    [
        {"RANK": "one"},
        {"RANK": ""},
        {"RANK": "1"},  # of a world of one
        {"RANK": "-1"},
        {"WORLD_SIZE": "0"},
        {"RANK": "1", "LOCAL_RANK": "2", "WORLD_SIZE": "4"},
    ],
)
def test_contradictions_are_errors_that_show_the_variables(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"RANK=.*LOCAL_RANK=.*WORLD_SIZE="):
        rank_from_environment(environ)
