"""Verb: turn annotations of other tools into rows, `python -m qvl.convert source=coco source.path=... out=...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from qvl.build import build
from qvl.command import run
from qvl.errors import ConfigError
from qvl.schema import ConvertConfig

if TYPE_CHECKING:
    from qvl.conversion import ConversionSettings

__all__ = ["cli", "main"]


def main(cfg: Any) -> None:
    """Write the rows and show what became of everything in the source.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.ConvertConfig`.

    Raises:
        QvlError: The source cannot be read, no row can be made of it, or the result cannot be written.
    """
    from qvl.conversion import convert, show
    from qvl.runtime.progress import progress_bar

    source = build(cfg.source, trusted=list(cfg.trusted_targets))
    settings = _settings(cfg, template=source.template)
    out = Path(cfg.out)
    with progress_bar() as progress:
        task = progress.add_task("pictures", total=None)
        converted = convert(
            source,
            out,
            settings,
            overwrite=cfg.overwrite,
            advance=lambda total: progress.update(task, advance=1, total=total),
        )
    show(converted, out=out, console=Console())


def _settings(cfg: Any, *, template: str) -> ConversionSettings:
    from qvl.conversion import (
        ConversionSettings,
        DescriptionTemplate,
        LabelMap,
        ObjectSettings,
        RowSettings,
        ShapeSettings,
        SplitSettings,
        read_labels,
    )

    try:
        text = DescriptionTemplate(template if cfg.desc is None else cfg.desc)
    except ValueError as error:
        raise ConfigError(f"desc: {error}") from error
    shapes = ShapeSettings(
        shapes=cfg.shapes,
        multi_part=cfg.multi_part,
        point_size=cfg.point_size,
        canonical=cfg.canonical,
        numbers=cfg.numbers,
    )
    labels = read_labels(Path(cfg.labels)) if isinstance(cfg.labels, str) else LabelMap(_words(cfg.labels))
    objects = ObjectSettings(
        template=text, labels=labels.words, drop=labels.drop.union(cfg.drop), crowd=cfg.crowd, shapes=shapes
    )
    rows = RowSettings(
        objects=objects,
        bad_objects=cfg.bad_objects,
        exif=cfg.exif,
        with_hash=cfg.near_duplicates is not None,
        summary=build(cfg.summary, trusted=list(cfg.trusted_targets)),
    )
    try:
        split = SplitSettings(**cfg.split)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return ConversionSettings(
        rows=rows, pictures=cfg.pictures, **cfg.resize, split=split, tiny=dict(cfg.tiny), distance=cfg.near_duplicates
    )


def _words(labels: Any) -> dict[str, str]:
    return {str(name): str(word) for name, word in labels.items()}


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="convert", schema=ConvertConfig)


if __name__ == "__main__":
    cli()
