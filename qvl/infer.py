"""Verb: ask a model about pictures, `python -m qvl.infer model=CHECKPOINT pictures=FOLDER out=answers.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qvl.answering import answer, find_weights
from qvl.command import run
from qvl.errors import ConfigError
from qvl.schema import InferConfig

__all__ = ["cli", "main"]


def main(cfg: Any) -> None:
    """Write one record a picture or group, and tell what came of it.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.InferConfig`.

    Raises:
        QvlError: The model, the rows or the file of answers cannot be used; a picture that cannot is a record.
    """
    from qvl.inference import find_units
    from qvl.runtime import configure_logging, rank_from_environment

    configure_logging("INFO", rank_from_environment().rank)
    out = Path(cfg.out)
    if not out.parent.is_dir():
        raise ConfigError(f"out: {out}: there is no folder {out.parent}")
    units = find_units(Path(cfg.pictures), labels=dict(cfg.labels), allowed_roots=list(cfg.allowed_roots))[: cfg.limit]
    answer(cfg, find_weights(cfg, near=out.parent), units, out=out)


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="infer", schema=InferConfig)


if __name__ == "__main__":
    cli()
