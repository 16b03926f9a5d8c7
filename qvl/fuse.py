"""Verb: write one epoch of a mix of data sets to a file, `python -m qvl.fuse data=mine out=mix.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from qvl.command import run
from qvl.errors import ConfigError
from qvl.opening import OpenedData
from qvl.schema import FuseConfig

__all__ = ["cli", "main"]


def main(cfg: Any) -> None:
    """Write the rows that a training with the same data and seed sees in an epoch, and show how many came from where.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.FuseConfig`.

    Raises:
        QvlError: The data cannot be read.
    """
    from qvl.data import check_all, write_mix

    out = Path(cfg.out)
    if not out.parent.is_dir():
        raise ConfigError(f"out: {out}: there is no folder {out.parent}")
    dataset = OpenedData(cfg).train()
    check_all([dataset], images=cfg.data.check_images, report=out.with_suffix(".findings.txt"))
    counts = write_mix(dataset, out, epoch=cfg.epoch)
    table = Table("source", "role", "ratio", "rows in the file", f"rows of epoch {cfg.epoch}")
    for part in dataset.parts:
        table.add_row(
            part.name, part.source.role, f"{part.source.ratio:g}", str(len(part.rows)), str(counts[part.name])
        )
    console = Console()
    console.print(table)
    console.print(f"mix   {out.resolve()} ({sum(counts.values())} rows)", soft_wrap=True)


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="fuse", schema=FuseConfig)


if __name__ == "__main__":
    cli()
