"""Verb: look at every row and picture of a data set, `python -m qvl.validate data=mine`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from qvl.command import run
from qvl.errors import ConfigError, QvlError, RecordError
from qvl.opening import OpenedData
from qvl.schema import ValidateConfig

if TYPE_CHECKING:
    from qvl.data import SourcePart
    from qvl.inspection import LookSettings, RowLengths

__all__ = ["cli", "main"]


def main(cfg: Any) -> None:
    """Write the report, show its tables and where it is.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.ValidateConfig`.

    Raises:
        QvlError: Training would refuse a row, or a file cannot be read or written.
    """
    from qvl.inspection import inspect, is_fatal, show, write_report
    from qvl.runtime import available_cpus

    settings, folder = _settings(cfg), Path(cfg.out)
    parts, lengths = _parts(cfg)
    fixed = _fixed(cfg.fix, parts)
    facts = {"model": cfg.model.path if lengths else None, "max_pixels": cfg.model.max_pixels}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reports = inspect(
            parts,
            settings=settings,
            lengths=lengths,
            processes=cfg.processes or available_cpus(),
            folder=folder,
            fixed=fixed,
            drop_rest=cfg.drop_rest,
        )
        write_report(reports, settings=settings, facts=facts, folder=folder, num_worst=cfg.num_worst)
    except OSError as error:
        raise QvlError(f"out: {error.filename or folder} cannot be written: {error.strerror}") from error
    show(reports, settings=settings, folder=folder, console=Console())
    if any(map(is_fatal, reports)):
        unusable = sum(report.bad - report.dropped for report in reports)
        rows = sum(report.statistics.rows.value for report in reports)
        raise RecordError(f"training would refuse these data: {unusable} of {rows} rows cannot be used")


def _settings(cfg: Any) -> LookSettings:
    from qvl.data import IMAGE_CHECKS
    from qvl.inspection import LookSettings

    if cfg.images not in IMAGE_CHECKS:
        raise ConfigError(f"images: {cfg.images!r} is not one of {', '.join(IMAGE_CHECKS)}")
    if cfg.drop_rest and cfg.fix is None:
        raise ConfigError("drop_rest: leaves rows out of the file that `fix` names; set fix=NAME.jsonl too")
    return LookSettings(
        images=cfg.images,
        max_length=cfg.global_max_length,
        long_is_fatal=cfg.data.on_overlength == "error",
        twins=cfg.twins,
        num_suspects=cfg.num_worst,
        fix=cfg.fix is not None,
    )


def _parts(cfg: Any) -> tuple[list[SourcePart], RowLengths | None]:
    """Make and open the files of the group `data`, each once, and load the tokenizer."""
    from qvl.inspection import RowLengths, each_once, load_tokenizer

    data = OpenedData(cfg)
    parts = each_once([data.train(), *([data.val()] if data.has_val else [])])
    if not cfg.lengths:
        return parts, None
    return parts, RowLengths(load_tokenizer(data.model_path(Path(cfg.out))), form=data.context.form)


def _fixed(name: str | None, parts: Sequence[SourcePart]) -> dict[str, Path] | None:
    """Return the file to write for the file of the data."""
    if name is None:
        return None
    if len(parts) != 1:
        raise ConfigError(f"fix: one file at a time is mended, data has {len(parts)}; add data.val=null, for example")
    (part,), path = parts, Path(name)
    if part.rows.left_out:
        raise ConfigError(f"fix: all rows of {part.rows.path} are needed; leave `limit` away")
    if path.resolve().parent != Path(part.rows.path).resolve().parent:
        raise ConfigError(f"fix: {name} has to lie beside {part.rows.path}, where the paths of its pictures start")
    if path.exists():
        raise ConfigError(f"fix: {name} is there already; choose another name")
    return {part.rows.path: path}


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="validate", schema=ValidateConfig)


if __name__ == "__main__":
    cli()
