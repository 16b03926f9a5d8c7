"""Random numbers depend on seed, epoch, name, row and draw only."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

import qvl
from qvl.runtime import rng

GOLDEN = {
    "demo": 2556719850472788151,
    "数据": 16543338954462191667,
}  # a change means that no earlier run can be repeated


def first_number(seed: int, epoch: int, name: str, row: int, draw: int) -> int:
    return int(rng(seed, epoch, name, row, draw).bit_generator.random_raw())


def test_the_stream_never_changes() -> None:
    assert first_number(17, 2, "demo", 5, 0) == GOLDEN["demo"]
    assert first_number(17, 2, "数据", 5, 0) == GOLDEN["数据"]


def test_different_tuples_draw_differently() -> None:
    numbers = (0, 1, 2**32, 2**62)
    drawn = {first_number(*key) for key in product(numbers, numbers, ("", "a", "b"), numbers, numbers)}
    assert len(drawn) == 3 * 4**4


def test_drawing_does_not_touch_other_generators() -> None:
    one, two = rng(1, 0, "a", 0, 0), rng(1, 0, "a", 0, 0)
    one.random(100)
    assert two.random() == rng(1, 0, "a", 0, 0).random()


def test_the_salt_of_the_process_does_not_matter() -> None:
    script = "from qvl.runtime import rng; print(rng(17, 2, 'demo', 5, 0).bit_generator.random_raw())"
    for salt in ("0", "1", "random"):
        environ = {**os.environ, "PYTHONPATH": str(Path(qvl.__file__).parents[1]), "PYTHONHASHSEED": salt}
        done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
        assert int(done.stdout) == GOLDEN["demo"]


@pytest.mark.parametrize("key", [(-1, 0, 0, 0), (0, -1, 0, 0), (0, 0, 2**63, 0), (0, 0, 0, -1)])
def test_a_number_that_cannot_be_written_in_8_bytes_is_refused(key: tuple[int, int, int, int]) -> None:
    seed, epoch, row, draw = key
    with pytest.raises(ValueError, match="must lie in"):
        rng(seed, epoch, "a", row, draw)
