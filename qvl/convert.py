"""Verb: turn annotations of other tools into rows, `python -m qvl.convert source=coco source.path=... out=...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from qvl.build import build
from qvl.command import run
from qvl.errors import ConfigError
from qvl.schema import ConvertConfig

if TYPE_CHECKING:
    from qvl.conversion import ConversionSettings, Converted, Report

__all__ = ["cli", "main"]


def main(cfg: Any) -> None:
    """Write the rows and show what became of everything in the source.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.ConvertConfig`.

    Raises:
        QvlError: The source cannot be read, no row can be made of it, or the result cannot be written.
    """
    from qvl.conversion import convert

    source = build(cfg.source, trusted=list(cfg.trusted_targets))
    settings = _settings(cfg, template=source.template)
    out = Path(cfg.out)
    with _progress() as progress:
        task = progress.add_task("pictures", total=None)
        converted = convert(
            source,
            out,
            settings,
            overwrite=cfg.overwrite,
            advance=lambda total: progress.update(task, advance=1, total=total),
        )
    _show(converted, out)


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
        shapes=cfg.shapes, multi_part=cfg.multi_part, point_size=cfg.point_size, canonical=cfg.canonical
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


def _progress() -> Progress:
    """Return a bar for people who watch; nothing is written where nobody does."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _show(converted: Converted, out: Path) -> None:
    """Print what was written, what was not, and what to do next."""
    report, console = converted.report, Console()
    console.print(_totals(report))
    if report.rows_refused or report.objects_refused or report.others_refused or report.objects_dropped:
        console.print(_losses(report))
    if report.repairs:
        repairs = Table("repaired", "times")
        for code, count in report.repairs.most_common():
            repairs.add_row(code, str(count))
        console.print(repairs)
    lines = [f"rows   {out.resolve() / split}.jsonl ({counts['rows']} rows)" for split, counts in report.splits.items()]
    for line in [*lines, *_remarks(converted, out)]:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _totals(report: Report) -> Table:
    table = Table("", "in the source", "in the rows", "left out on request", "refused")
    dropped, refused = report.objects_dropped.total(), report.objects_refused.total()
    came = f"{report.objects_in} + {report.objects_added} pieces" if report.objects_added else str(report.objects_in)
    table.add_row("pictures", str(report.rows_in), str(report.rows_out), "", str(report.rows_refused.total()))
    table.add_row("objects", came, str(report.objects_out), str(dropped), str(refused))
    return table


def _losses(report: Report) -> Table:
    table = Table("not in the rows", "why", "times", "such as")
    kinds = {
        "picture": report.rows_refused,
        "object": report.objects_refused,
        "other": report.others_refused,
        "on request": report.objects_dropped,
    }
    for kind, counts in kinds.items():
        for code, count in counts.most_common():
            table.add_row(kind, code, str(count), report.examples.get(code, ""))
    return table


def _remarks(converted: Converted, out: Path) -> list[str]:
    """Return what else the user has to know, one line each."""
    report = converted.report
    lines = [f"refused   {out.resolve() / 'rejected.jsonl'}"] if report.examples else []
    if report.unused:
        lines.append(f"labels and drop name what no object is: {', '.join(report.unused)}")
    if report.again:
        lines.append(f"{report.again} rows have a picture that another row has too")
    if report.across:
        lines.append(f"{report.across} pairs of pictures look the same and lie in different splits, see report.json")
    if converted.roots:
        roots = ",".join(map(str, converted.roots))
        lines.append(f"the pictures stay where they are; train with 'data.allowed_roots=[{roots}]'")
    rows = out / f"{next(iter(report.splits))}.jsonl"
    return [
        *lines,
        f"check them     python -m qvl.validate data={rows}",
        f"look at them   python -m qvl.visualize data={rows}",
    ]


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="convert", schema=ConvertConfig)


if __name__ == "__main__":
    cli()
