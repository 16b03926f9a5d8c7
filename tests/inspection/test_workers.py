from __future__ import annotations

import os
import time

import pytest

from qvl.errors import RecordError
from qvl.inspection.workers import in_order


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
