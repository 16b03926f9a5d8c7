"""The verb `qvl.convert` in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from qvl.command import compose
from qvl.convert import main
from qvl.schema import ConvertConfig, register_schema

Converted = tuple[list[dict], list[dict], dict]


@pytest.fixture
def convert() -> Callable[..., Converted]:
    """Converts a source and returns the rows, what was refused, and the report."""
    register_schema(ConvertConfig, name="convert")

    def convert(source: str, path: Path, *more: str) -> Converted:
        out = path.parent / "out"
        main(compose([f"source={source}", f"source.path='{path}'", f"out='{out}'", *more], config_name="convert"))
        rows, rejected = (
            [json.loads(line) for line in (out / name).read_text(encoding="utf-8").splitlines()]
            for name in ("train.jsonl", "rejected.jsonl")
        )
        return rows, rejected, json.loads((out / "report.json").read_text(encoding="utf-8"))

    return convert
