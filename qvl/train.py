"""Verb: fine-tune a model, `python -m qvl.train +recipe=stage2_lora`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from qvl.build import build, build_context
from qvl.command import run
from qvl.errors import ConfigError

__all__ = ["cli", "main"]

_log = logging.getLogger("qvl.train")  # by name: on the command line this module is __main__, which is not heard


def main(cfg: Any) -> float | None:
    """Train as the configuration says: check the data, write down what runs, train, show what came of it.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.TrainConfig`.

    Returns:
        The score that `optimized_metric` names, in the first process and if it names one.

    Raises:
        QvlError: Something in the configuration, the data or the model cannot be used.
    """
    from qvl.data import Ledger
    from qvl.models import names_own
    from qvl.runtime import configure_logging, rank_from_environment
    from qvl.training import earlier_result, write_result

    if cfg.show_prompt is not None:
        raise ConfigError("show_prompt: shows one configuration and trains nothing; give every key one value")
    folder = Path(HydraConfig.get().runtime.output_dir)
    rank = rank_from_environment()
    configure_logging("INFO", rank.rank)
    _log.info("run folder: %s", folder)
    again = names_own(cfg.training.resume_from_checkpoint, folder)
    if not again and (result := earlier_result(folder, OmegaConf.to_yaml(cfg, resolve=True))):
        _log.info("this run is finished already; choose another folder to train again")
        if rank.is_main:
            _show(folder, result)
        return _optimized(cfg.optimized_metric, result)
    ledger = Ledger(folder / "ledger.jsonl") if rank.is_main else None
    job, evaluate = _job(cfg, folder, ledger)
    if rank.is_main:
        (folder / "metrics.json").unlink(missing_ok=True)
        _write_manifest(cfg, folder, job)
    result = _builder(cfg)(cfg.training.trainer).run(job, evaluate=evaluate)
    if rank.is_main:
        write_result(folder, result)
        _show(folder, result)
        return _optimized(cfg.optimized_metric, result)
    return None


def show_prompt(cfg: Any) -> bool:
    """Print a user turn as the model is given it, if the configuration asks for that.

    Of the model only the tokenizer and the picture processor are loaded, nothing is trained and nothing is left behind
    but data that `data.prepare` makes.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.TrainConfig`.

    Returns:
        Whether it did.

    Raises:
        ConfigError: There is no such turn.
        RecordError: One of its rows cannot be used.
    """
    if cfg.show_prompt is None:
        return False
    from qvl.models import resolve_model
    from qvl.runtime import configure_logging, rank_from_environment
    from qvl.training import load_encoder, render_view, view_turn

    rank = rank_from_environment()
    if rank.is_main:
        configure_logging("WARNING", rank.rank)
        make = _builder(cfg)
        prompts = make(cfg.prompts)
        context = build_context(cfg, prompts=prompts, augmentation=make(cfg.augmentation))
        turn = _turn(cfg, context)
        texts = [prompts.system, prompts.user]
        with TemporaryDirectory() as folder:
            path = resolve_model(cfg.model.path, run_folder=Path(folder), prompts=texts, seed=cfg.seed)
            encoder = load_encoder(path, model_type=cfg.model.model_type, form=context.form)
        view = view_turn(turn, encoder)
        Console().print(render_view(view, limit=cfg.global_max_length), soft_wrap=True)
    return True


def _turn(cfg: Any, context: Any) -> Any:
    """Return the user turn that is to be shown; faults of other rows do not matter to it."""
    make = _builder(cfg)
    if cfg.data.prepare is not None:
        make(cfg.data.prepare).prepare()
    train = make(cfg.data.train, context=context)
    fatal = [finding for finding in train.check(images="off") if finding.fatal]
    if fatal:
        _log.warning("%s (and %d more findings); qvl.validate lists them all", fatal[0], len(fatal) - 1)
    if cfg.show_prompt >= len(train):
        raise ConfigError(f"show_prompt: there is no user turn {cfg.show_prompt}, the last one is {len(train) - 1}")
    return train[cfg.show_prompt]


def _builder(cfg: Any) -> Callable[..., Any]:
    """Return `build` for what the command line trusts."""
    return partial(build, trusted=list(cfg.trusted_targets))


def _data(cfg: Any, folder: Path, context: Any) -> tuple[Any, Any]:
    """Make, open and check the data."""
    from qvl.data import check_all
    from qvl.runtime import rank_from_environment

    make = _builder(cfg)
    if cfg.data.prepare is not None:
        make(cfg.data.prepare).prepare()
    train = make(cfg.data.train, context=context)
    val = make(cfg.data.val or cfg.data.train, context=replace(context, augmentation=None, training=False))
    images = cfg.data.check_images if rank_from_environment().is_main else "off"  # one process opens the pictures
    check_all((train, val), images=images, report=folder / "findings.txt")
    return train, val


def _job(cfg: Any, folder: Path, ledger: Any) -> tuple[Any, Any]:
    """Build everything that a run needs: the job for the trainer, and what scores its model."""
    from qvl.inference import AnswerEvaluation
    from qvl.models import find_resume, resolve_model
    from qvl.training import TrainingJob

    make = _builder(cfg)
    prompts = make(cfg.prompts)
    context = build_context(cfg, prompts=prompts, augmentation=make(cfg.augmentation))
    train, val = _data(cfg, folder, context)
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    texts = [prompts.system, prompts.user]
    path = resolve_model(cfg.model.path, run_folder=folder, prompts=texts, seed=cfg.seed)
    job = TrainingJob(
        config={**plain, "model": {**plain["model"], "path": path}},
        train=train,
        val=val,
        form=context.form,
        output_dir=folder,
        ledger=ledger,
        find_checkpoint=partial(find_resume, cfg.training.resume_from_checkpoint, folder),
        callbacks=list(make(cfg.callbacks).values()),
        contract=_contract(cfg, prompts, context),
    )
    return job, AnswerEvaluation(dataset=val, form=context.form, settings=plain["evaluation"], folder=folder)


def _contract(cfg: Any, prompts: Any, context: Any) -> Any:
    """Return what the model will be trained to be asked, by the builder of the run."""
    from qvl import __version__
    from qvl.data import Contract

    return Contract(
        **asdict(context.form),
        mode=context.builder.mode,
        system=prompts.system,
        user=prompts.user,
        images_per_user_turn=cfg.data.images_per_user_turn,
        language=str(cfg.prompts.get("language") or ""),  # a class of one's own may know none
        domain=str(HydraConfig.get().runtime.choices.get("prompts/domain") or ""),
        model_type=cfg.model.model_type,
        base_model=cfg.model.path,
        qvl_version=__version__,
    )


def _write_manifest(cfg: Any, folder: Path, job: Any) -> None:
    """Write down what runs, on what, before the first step."""
    from qvl.runtime import collect_manifest, data_digest, rank_from_environment, write_manifest

    manifest = collect_manifest(
        config=OmegaConf.to_yaml(cfg, resolve=True),
        overrides=list(HydraConfig.get().overrides.task),
        data=[data_digest(Path(part.rows.path), rows=len(part.rows)) for part in (*job.train.parts, *job.val.parts)],
        seed=cfg.seed,
        world_size=rank_from_environment().world_size,
    )
    write_manifest(folder, manifest)


def _optimized(name: str | None, result: Any) -> float | None:
    """Return what a search is to improve; None if none was asked for."""
    if name is None:
        return None
    if name not in result.after:
        raise ConfigError(f"optimized_metric: {name!r} was not measured, only {', '.join(result.after)} were")
    return float(result.after[name])


def _show(folder: Path, result: Any) -> None:
    """Print the metrics as a table, and what to do next."""
    from qvl.metrics import HEADLINE, label_of

    table = Table(title=f"held-out scores after {result.global_step} steps")
    for column in ("", "before", "after"):
        table.add_column(column, justify="left" if not column else "right")
    for name in HEADLINE:
        values = [metrics.get(name) for metrics in (result.before, result.after)]
        if name == "loss" or any(value is not None for value in values):  # chat has no answers to score
            table.add_row(label_of(name), *("-" if value is None else f"{value:.3f}" for value in values))
    console = Console()
    console.print(table)
    console.print(f"run folder   {folder}", soft_wrap=True)
    console.print(f"checkpoint   {result.best_checkpoint or result.checkpoint or 'none was saved'}", soft_wrap=True)
    predictions = folder / "predictions_after.jsonl"
    if predictions.exists():
        console.print(f"look at it   python -m qvl.visualize predictions={predictions}", soft_wrap=True)
        console.print(f"how sure     python -m qvl.evaluate predictions={predictions}", soft_wrap=True)


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="train", instead=show_prompt)


if __name__ == "__main__":
    cli()
