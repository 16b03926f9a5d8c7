"""Verb: show what a model predicted, `python -m qvl.visualize predictions=RUN/predictions_after.jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from qvl.command import run
from qvl.errors import ConfigError, QvlError
from qvl.schema import VisualizeConfig

__all__ = ["cli", "main"]


def main(cfg: Any) -> None:
    """Write the page and say where it is.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.VisualizeConfig`.

    Raises:
        QvlError: The predictions or a picture cannot be read, or the page cannot be written.
    """
    from qvl.runtime import write_text
    from qvl.visualization import judge, read_predictions, render_page

    path = Path(cfg.predictions)
    out = path.with_suffix(".html") if cfg.out is None else Path(cfg.out)
    if out.resolve() == path.resolve():
        raise ConfigError(f"out: {out} is the file of the predictions; choose another name")
    if not out.parent.is_dir():
        raise ConfigError(f"out: {out}: there is no folder {out.parent}")
    report = judge(read_predictions(path), threshold=cfg.threshold, line_tolerance=cfg.line_tolerance)
    shown = report.select(cfg.num_samples, worst_first=cfg.worst_first)
    page = render_page(report, shown, title=f"{path.resolve().parent.name}/{path.name}")
    try:
        write_text(out, page)
    except OSError as error:
        raise QvlError(f"out: {out} cannot be written: {error.strerror}") from error
    scores = report.scores
    console = Console()
    console.print(
        f"F1 {scores.f1:.3f}, precision {scores.precision:.3f}, recall {scores.recall:.3f} "
        f"over {scores.num_images} pictures",
        soft_wrap=True,
    )
    console.print(f"page   {out.resolve()} ({len(shown)} pictures)", soft_wrap=True)


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="visualize", schema=VisualizeConfig)


if __name__ == "__main__":
    cli()
