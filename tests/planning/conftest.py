"""Lets the test modules of this folder import `live_bytes`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)


def pytest_configure() -> None:
    sys.path[:0] = [folder for folder in [HERE] if folder not in sys.path]
