from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from qvl.errors import RecordError
from qvl.runtime.workers import available_cpus, in_order


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_the_order_of_the_pieces(processes):
    def work(item: int) -> int:
        time.sleep(0.02 * (item % 3 == 0))
        return item * item

    assert list(in_order(work, range(10), processes=processes)) == [item * item for item in range(10)]
    assert list(in_order(work, [], processes=processes)) == []


def test_the_work_is_done_in_other_processes():
    owners = set(in_order(lambda item: os.getpid(), range(8), processes=2))
    assert os.getpid() not in owners
    assert set(in_order(lambda item: os.getpid(), range(8), processes=1)) == {os.getpid()}


def test_an_error_of_qvl_arrives():
    def work(item: int) -> int:
        raise RecordError(f"row {item} is gone")

    with pytest.raises(RecordError, match="is gone"):
        list(in_order(work, range(4), processes=2))


def test_the_death_of_a_process_is_told():
    def work(item: int) -> int:
        if item == 2:
            os._exit(7)
        return item

    with pytest.raises(Exception, match="died with exit code 7"):
        list(in_order(work, range(4), processes=2))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_process_is_left_when_the_first_one_is_killed(tmp_path):
    def work(item: int) -> None:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(0.05)

    first = os.fork()
    if first == 0:
        try:
            list(in_order(work, range(10_000), processes=2))
        finally:
            os._exit(1)
    while len(members := [int(path.name) for path in tmp_path.iterdir()]) < 2:
        time.sleep(0.01)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    end = time.monotonic() + 10
    while any(map(is_alive, members)):
        assert time.monotonic() < end, "processes outlived the one that started them"
        time.sleep(0.01)


def test_the_share_of_processors_is_that_of_this_process():
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)
