"""Verb: look at the rows of a data set, `python -m qvl.visualize data=mine`, or at predictions, `predictions=FILE`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console

from qvl.command import given_keys, run
from qvl.errors import ConfigError, QvlError
from qvl.opening import OpenedData
from qvl.schema import VisualizeConfig

if TYPE_CHECKING:
    from qvl.visualization import Card, Layout

__all__ = ["cli", "main"]

_OF_ROWS = ("augment_prob", "augmentation", "data", "draws", "model", "progress", "prompts", "rows", "split", "views")
"""Keys that mean nothing to predictions."""


@dataclass(frozen=True)
class _Gallery:
    """What is written, and the line that tells of it."""

    cards: Iterator[Card]
    total: int
    layout: Layout
    default: Path
    told: str


def main(cfg: Any) -> None:
    """Write a page, or a folder of pictures, and say where it is.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.VisualizeConfig`.

    Raises:
        QvlError: The data, the predictions or a picture cannot be read, or nothing can be written there.
    """
    from qvl.visualization import write_gallery

    out = None if cfg.out is None else _checked(str(cfg.out), cfg.predictions)
    gallery = _rows(cfg) if cfg.predictions is None else _predictions(cfg)
    out = out or gallery.default
    console = Console()
    try:
        lines = write_gallery(gallery.cards, gallery.layout, out, total=gallery.total)
    except OSError as error:
        raise QvlError(f"out: {out} cannot be written: {error.strerror}") from error
    for line in (gallery.told, *lines):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _checked(text: str, predictions: str | None) -> Path:
    """Refuse a place where nothing can be written before anything is read."""
    from qvl.visualization import is_page_name

    out = Path(text)
    is_page = is_page_name(out)
    if predictions is not None and out.resolve() == Path(predictions).resolve():
        raise ConfigError(f"out: {out} is the file of the predictions; choose another name")
    if not out.parent.is_dir():
        raise ConfigError(f"out: {out}: there is no folder {out.parent}")
    if not is_page and out.suffix and not out.is_dir() and not text.endswith("/"):
        raise ConfigError(f"out: {out} is neither a page, which ends with .html, nor a folder of pictures")
    if not is_page and out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"out: {out} is not empty; choose another folder")
    return out


def _predictions(cfg: Any) -> _Gallery:
    from qvl.evaluation import read_predictions
    from qvl.visualization import judge, prediction_cards, prediction_layout

    if strange := sorted(given_keys().intersection(_OF_ROWS)):
        raise ConfigError(f"predictions: {', '.join(strange)} is about rows; leave it or predictions out")
    path = Path(cfg.predictions)
    report = judge(read_predictions(path), threshold=cfg.threshold, line_tolerance=cfg.line_tolerance)
    shown = report.select(cfg.num_samples, worst_first=cfg.worst_first)
    return _Gallery(
        prediction_cards(shown),
        len(shown),
        prediction_layout(report, shown, title=f"{path.resolve().parent.name}/{path.name}"),
        path.with_suffix(".html"),
        report.headline,
    )


def _rows(cfg: Any) -> _Gallery:
    from qvl.inspection import RowViews, pick_rows, row_layout

    if cfg.split not in ("train", "val"):
        raise ConfigError(f"split: {cfg.split!r} is not one of train, val")
    is_val = cfg.split == "val"
    data = OpenedData(cfg, augmented=True)
    dataset = data.val() if is_val else data.train()
    views, told = list(cfg.views), ""
    if "augmented" in views and all(part.augmentation is None for part in dataset.parts):
        views.remove("augmented")
        told = "; nothing augments them" + ("" if is_val else ", see augmentation and augment_prob")
    picks = pick_rows(dataset, lines=cfg.rows, most=cfg.num_samples, seed=cfg.seed)
    model_view = _model_view(cfg, data) if "model" in views else None
    row_views = RowViews(dataset, views=views, draws=cfg.draws, progress=cfg.progress, model_view=model_view)
    first, total = Path(dataset.parts[0].rows.path), sum(len(part.rows) for part in dataset.parts)
    return _Gallery(
        row_views.cards(picks),
        len(picks),
        row_layout(title=f"{first.parent.name}/{first.name}"),
        Path(f"{first.stem}_rows.html"),
        f"{len(picks)} of {total} rows: {', '.join(views)}{told}",
    )


def _model_view(cfg: Any, data: OpenedData) -> Any:
    """Load what encodes rows for the model; its weights are not needed."""
    from qvl.training import ModelView, load_encoder

    with TemporaryDirectory() as folder:  # for a model that is made anew
        path = data.model_path(Path(folder))
        return ModelView(load_encoder(path, model_type=cfg.model.model_type, form=data.context.form))


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="visualize", schema=VisualizeConfig)


if __name__ == "__main__":
    cli()
