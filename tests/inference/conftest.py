"""Several processes of a run, played by threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

from qvl.inference import evaluating
from qvl.runtime import distributed
from qvl.runtime.distributed import Rank

PATIENCE_S = 20


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[Rank], object]], list[Any]]:
    """Runs `work(rank)` in so many threads that gather as processes do; returns what they return, or their errors."""

    def run(size: int, work: Callable[[Rank], object]) -> list[Any]:
        here, barrier = threading.local(), threading.Barrier(size, timeout=PATIENCE_S)
        told: list[object] = [None] * size

        def gathered(value: object) -> list[object]:
            told[here.rank.rank] = value
            barrier.wait()
            found = list(told)
            barrier.wait()
            return found

        def process(number: int) -> object:
            here.rank = Rank(number, number, size)
            return work(here.rank)

        with monkeypatch.context() as patch, ThreadPoolExecutor(size) as pool:
            patch.setattr(distributed, "gathered", gathered)
            patch.setattr(evaluating, "rank_from_environment", lambda: here.rank)
            futures = [pool.submit(process, number) for number in range(size)]
            wait(futures)
        return [future.exception() or future.result() for future in futures]

    return run
