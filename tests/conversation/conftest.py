"""Lets the test modules of this folder import `written`."""

from __future__ import annotations

import sys
from pathlib import Path


def pytest_configure() -> None:
    folder = str(Path(__file__).parent)
    sys.path[:0] = [folder] if folder not in sys.path else []
