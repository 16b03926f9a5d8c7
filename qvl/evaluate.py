"""Verb: score predictions, `python -m qvl.evaluate predictions=FILE`; those of a model, `model=RUN pictures=FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from qvl.answering import answer, find_weights
from qvl.command import given_keys, run
from qvl.errors import ConfigError, QvlError, listed
from qvl.schema import EvaluateConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qvl.evaluation import Evaluation, Prediction
    from qvl.inference import Unit

__all__ = ["cli", "main"]

_ONLY_TO_ASK = (
    *("attn_impl", "batch_size", "device_map", "engine", "form", "images_per_turn", "limit", "max_new_tokens", "mode"),
    *("model", "overwrite", "pictures", "prompts", "torch_dtype", "vllm"),
)
"""Keys that mean nothing where there are predictions."""


def main(cfg: Any) -> None:
    """Print scores, and write figures and a page if there is a folder for them.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.EvaluateConfig`.

    Raises:
        QvlError: A file or the model cannot be used, files do not belong together, or nothing can be written.
    """
    from qvl.evaluation import align_pictures, check_folder, evaluate_predictions, show, tell_files
    from qvl.runtime import configure_logging, rank_from_environment

    rank = rank_from_environment()
    configure_logging("INFO", rank.rank)
    _check_keys(cfg)
    folder = None if cfg.out is None else Path(cfg.out)
    if folder is not None and rank.is_main:
        check_folder(folder, _subject(cfg))
    path = Path(cfg.predictions) if cfg.predictions is not None else _answered(cfg, Path(cfg.out))
    if not rank.is_main:
        return
    predictions = _read(cfg, path)
    others = None if cfg.against is None else align_pictures(predictions, _read(cfg, Path(cfg.against)))
    evaluation = evaluate_predictions(predictions, others, settings=_settings(cfg))
    console = Console()
    for line in tell_files(predictions, others):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    show(evaluation, console=console)
    if folder is None:
        console.print("out=FOLDER writes all figures and a page of the worst pictures", soft_wrap=True)
        return
    for line in _write(cfg, folder, path, evaluation, predictions, others):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _check_keys(cfg: Any) -> None:
    """Refuse a command that does not say what to score, or says it twice."""
    if cfg.predictions is not None:
        if strange := sorted(given_keys().intersection(_ONLY_TO_ASK)):
            raise ConfigError(f"predictions: {', '.join(strange)} is for asking a model; leave it or predictions out")
        return
    missing = [key for key in ("model", "pictures", "out") if (cfg.model.path if key == "model" else cfg[key]) is None]
    if len(missing) == 3:
        raise ConfigError("predictions: there is nothing to score; give predictions=FILE, or model, pictures and out")
    if missing:
        raise ConfigError(
            f"{missing[0]}: asking a model takes model, pictures and out; {', '.join(missing)} is missing"
        )


def _subject(cfg: Any) -> str:
    """Say what a folder is the evaluation of."""
    if cfg.predictions is not None:
        return str(Path(cfg.predictions).absolute())
    return f"{cfg.model.path} on {Path(cfg.pictures).absolute()}"


def _settings(cfg: Any) -> Any:
    from qvl.evaluation import Settings
    from qvl.metrics import KINDS

    if unknown := [kind for kind in cfg.average_precision if kind not in KINDS]:
        raise ConfigError(f"average_precision: {unknown[0]!r} is not one of {', '.join(KINDS)}")
    names = ("line_tolerance", "level", "num_resamples", "seed")
    return Settings(**{name: cfg[name] for name in names}, average_precision=tuple(cfg.average_precision))


def _answered(cfg: Any, folder: Path) -> Path:
    """Ask the model, or go on asking, and return the file of its answers."""
    from qvl.evaluation import open_folder
    from qvl.inference import find_units
    from qvl.runtime import rank_from_environment

    units = find_units(Path(cfg.pictures), labels={}, allowed_roots=list(cfg.allowed_roots))[: cfg.limit]
    weights = find_weights(cfg, near=folder.parent)
    if cfg.truth is None:
        _check_truth(units, weights.contract.mode)
    if rank_from_environment().is_main:
        open_folder(folder, _subject(cfg))
    answer(cfg, weights, units, out=folder / "predictions.jsonl")
    return folder / "predictions.jsonl"


def _check_truth(units: Sequence[Unit], mode: str) -> None:
    """Refuse rows that say nothing to compare an answer with, before they are asked about."""
    field = "summary" if mode == "summary" else "objects"
    bare = [unit.source for unit in units if (unit.summary if mode == "summary" else unit.truth) is None]
    if bare:
        raise ConfigError(listed([f"{source}: the row has no {field} to compare with" for source in bare]))


def _read(cfg: Any, path: Path) -> list[Prediction]:
    from qvl.evaluation import match_truth, read_predictions

    if cfg.truth is None:
        return read_predictions(path)
    found = read_predictions(path, need_truth=False)
    return match_truth(found, Path(cfg.truth), allowed_roots=list(cfg.allowed_roots))


def _write(
    cfg: Any,
    folder: Path,
    path: Path,
    evaluation: Evaluation,
    predictions: Sequence[Prediction],
    others: Sequence[Prediction] | None,
) -> list[str]:
    """Write figures and page, and return lines that tell of it."""
    from qvl.evaluation import open_folder, write_figures
    from qvl.visualization import write_evaluation

    open_folder(folder, _subject(cfg))
    figures, page = folder / "metrics.json", folder / "report.html"
    files = {"predictions": path, "pictures": cfg.pictures, "truth": cfg.truth, "against": cfg.against}
    try:
        write_figures(figures, evaluation, files=files)
        settings = {"line_tolerance": cfg.line_tolerance, "num_samples": cfg.num_samples}
        told = write_evaluation(page, evaluation, predictions, others, **settings)
    except OSError as error:
        raise QvlError(f"out: {folder} cannot be written: {error.strerror}") from error
    return [f"figures   {figures.resolve()}", *told]


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="evaluate", schema=EvaluateConfig)


if __name__ == "__main__":
    cli()
