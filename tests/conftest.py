"""One thread per process, long tests first, and GPU tests only where there is a GPU."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; more threads slow a small model down


LONG = {"training": 0, "launchers": 1}
"""Folders whose files take longest, in their order; all others come later."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let two processes begin with what takes longest, so that they end together."""
    items.sort(key=lambda item: LONG.get(item.path.parent.name, len(LONG)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `gpu` where torch sees no device; torch is imported for such a test only."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
