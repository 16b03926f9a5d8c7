"""The place of a process in its run comes from the environment."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest

from qvl.errors import ConfigError, QvlError, RecordError
from qvl.runtime import Rank, cpus_of_process, first_goes_ahead, local_world_size, rank_from_environment


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


def test_the_processors_are_shared_by_the_processes_of_a_machine() -> None:
    assert [local_world_size(environ) for environ in ({}, {"LOCAL_WORLD_SIZE": "8"})] == [1, 8]
    assert cpus_of_process({"LOCAL_WORLD_SIZE": "100000"}) == 1
    assert cpus_of_process({}) >= 1


def two_processes(number: int, port: int, folder: Path, fails: bool) -> None:
    """Do something in the first process before both are joined."""
    import torch.distributed as dist

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(number), WORLD_SIZE="2")
    os.environ.pop("TORCHELASTIC_USE_AGENT_STORE", None)
    rank, seen = Rank(number, number, 2), ""
    try:
        for turn in range(2):
            with first_goes_ahead(rank):
                if rank.is_main:
                    time.sleep(0.7)
                    (folder / f"work{turn}").touch()
                    if fails and turn:
                        raise RecordError("row 7 is gone")
                else:
                    seen += str((folder / f"work{turn}").exists())
        dist.init_process_group("gloo", rank=number, world_size=2, timeout=timedelta(seconds=5))
        sums = [None, None]
        dist.all_gather_object(sums, number)
        seen += str(sums)
    except QvlError as error:
        seen += str(error)
    (folder / f"rank{number}").write_text(json.dumps(seen))
    time.sleep(0.5 if rank.is_main else 0)  # the store lies in the first process, without torchrun


@pytest.mark.parametrize(
    ("fails", "seen"),
    [
        (False, ["[0, 1]", "TrueTrue[0, 1]"]),
        (True, ["row 7 is gone", "Trueprocess 0 of 2 could not go on: RecordError: row 7 is gone"]),
    ],
)
def test_the_others_wait_for_the_first_however_long_it_takes_and_end_with_it(
    tmp_path: Path, fails: bool, seen: list[str]
) -> None:
    pytest.importorskip("torch.distributed")  # once, not in each process
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    members = [context.Process(target=two_processes, args=(number, port, tmp_path, fails)) for number in range(2)]
    for member in members:
        member.start()
    for member in members:
        member.join(60)
    assert [json.loads((tmp_path / f"rank{number}").read_text()) for number in range(2)] == seen
