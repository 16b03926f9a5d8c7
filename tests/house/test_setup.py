"""`make setup` looks at the driver before it fetches anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qvl.machine import SETS

REPO = Path(__file__).parents[2]
NEW, OLD = SETS[13], SETS[12]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.mark.parametrize(
    ("driver", "words", "named", "goes_on"),
    [
        (f"{NEW[1]}.65.06", (), [], True),
        (f"{NEW[1]}.65.06", (f"CONSTRAINTS={OLD[0]}",), [], True),
        ("570.124.06", (f"CONSTRAINTS={OLD[0]}",), [], True),
        (f"{OLD[1]}.60.13", (f"CONSTRAINTS={OLD[0]}",), [], True),
        ("570.124.06", (), [OLD[0]], False),
        ("570.124.06", (f"CONSTRAINTS={NEW[0]}",), [OLD[0]], True),  # as you like
        ("470.82.01", (), [], False),  # no set works
        ("", (), [], True),  # no nvidia-smi
    ],
)
def test_the_set_that_fits_the_driver_is_named(
    driver: str, words: tuple[str, ...], named: list[str], goes_on: bool, tmp_path: Path, fake_tool: Callable[..., None]
) -> None:
    fake_tool(script=f"echo '{driver}'" if driver else "exit 127")
    for name in ("Makefile", "pyproject.toml", NEW[0], OLD[0]):
        shutil.copy(REPO / name, tmp_path)
    done = subprocess.run(
        ["make", "setup", "PYTHON=: python", "BIN=true ", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert re.findall(r"CONSTRAINTS=(\S+)", done.stderr) == named
    assert (": python -m venv" in done.stdout) == goes_on, done.stdout + done.stderr


def test_the_second_set_differs_in_torch_alone() -> None:
    new, old = (
        {line for line in (REPO / name).read_text().splitlines() if line[:1] != "#"} for name in (NEW[0], OLD[0])
    )
    assert {line.partition("==")[0] for line in new ^ old} == {"torch", "torchvision"}
    assert {line for line in old - new} == {"torch==2.10.0", "torchvision==0.25.0"}
