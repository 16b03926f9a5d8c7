"""Verb: fine-tune a model, `python -m qvl.train +recipe=stage2_lora`."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from rich.console import Console

from qvl.build import build
from qvl.command import run
from qvl.errors import ConfigError
from qvl.opening import OpenedData

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
    from qvl.training import earlier_result, grow_segments, show_result, write_result

    if cfg.show_prompt is not None:
        raise ConfigError("show_prompt: shows one configuration and trains nothing; give every key one value")
    grow_segments()  # before anything uses a GPU
    if cfg.plan.show:
        raise ConfigError("plan.show: plans one configuration and trains nothing; give every key one value")
    folder = Path(HydraConfig.get().runtime.output_dir)
    rank = rank_from_environment()
    configure_logging("INFO", rank.rank)
    _log.info("run folder: %s", folder)
    again = names_own(cfg.training.resume_from_checkpoint, folder)
    if not again and (result := earlier_result(folder, OmegaConf.to_yaml(cfg, resolve=True))):
        _log.info("this run is finished already; choose another folder to train again")
        if rank.is_main:
            show_result(folder, result, console=Console())
        return _optimized(cfg.optimized_metric, result)
    ledger = Ledger(folder / "ledger.jsonl") if rank.is_main else None
    job, evaluate = _job(cfg, folder, ledger)
    if rank.is_main:
        (folder / "metrics.json").unlink(missing_ok=True)
        _write_manifest(cfg, folder, job)
    result = _make(cfg, cfg.training.trainer).run(job, evaluate=evaluate)
    if rank.is_main:
        write_result(folder, result)
        show_result(folder, result, console=Console())
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
    from qvl.runtime import configure_logging, rank_from_environment
    from qvl.training import load_encoder, render_view, view_turn

    rank = rank_from_environment()
    if rank.is_main:
        configure_logging("WARNING", rank.rank)
        data = OpenedData(cfg, augmented=True)
        turn = _turn(data.train(), cfg.show_prompt)
        with TemporaryDirectory() as folder:
            path = data.model_path(Path(folder))
            encoder = load_encoder(path, model_type=cfg.model.model_type, form=data.context.form)
        view = view_turn(turn, encoder)
        Console().print(render_view(view, limit=cfg.global_max_length), soft_wrap=True)
    return True


def show_plan(cfg: Any) -> bool:
    """Print what a run would take, if the configuration asks for that.

    Of the model only the config, the tokenizer and the picture processor are loaded, nothing is trained and nothing is
    left behind but data that `data.prepare` makes.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.TrainConfig`.

    Returns:
        Whether it did.

    Raises:
        QvlError: The model, the tuner or the data cannot be used.
    """
    if not cfg.plan.show:
        return False
    from qvl.models import SHIPPED
    from qvl.runtime import configure_logging, rank_from_environment
    from qvl.training import make_plan, render_plan

    rank = rank_from_environment()
    if rank.is_main:
        configure_logging("WARNING", rank.rank)
        data = OpenedData(cfg)
        config: Any = OmegaConf.to_container(cfg, resolve=True)
        with TemporaryDirectory() as folder:
            path, shipped = data.model_path(Path(folder)), str(SHIPPED)
            plan, notes = make_plan(config, data.train(), path=path, shipped=shipped, form=data.context.form)
        Console().print(render_plan(plan, notes=notes))
    return True


def _instead(cfg: Any) -> bool:
    return show_plan(cfg) or show_prompt(cfg)


def _turn(train: Any, number: int) -> Any:
    """Return the user turn that is to be shown; faults of other rows do not matter to it."""
    fatal = [finding for finding in train.check(images="off") if finding.fatal]
    if fatal:
        _log.warning("%s (and %d more findings); qvl.validate lists them all", fatal[0], len(fatal) - 1)
    if number >= len(train):
        raise ConfigError(f"show_prompt: there is no user turn {number}, the last one is {len(train) - 1}")
    return train[number]


def _job(cfg: Any, folder: Path, ledger: Any) -> tuple[Any, Any]:
    """Build everything that a run needs: the job for the trainer, and what scores its model."""
    from qvl.data import check_all
    from qvl.inference import AnswerEvaluation
    from qvl.models import find_resume
    from qvl.runtime import cpus_of_process, first_goes_ahead, rank_from_environment
    from qvl.training import TrainingJob

    data = OpenedData(cfg, augmented=True)
    train, val = data.train(), data.val()
    rank, report = rank_from_environment(), folder / "findings.txt"
    with first_goes_ahead(rank):  # one process opens the pictures, on all processors; the others read the rows after it
        images = cfg.data.check_images if rank.is_main else "off"
        check_all((train, val), images=images, report=report, processes=None if rank.is_main else cpus_of_process())
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    start = data.start(folder)
    job = TrainingJob(
        config={**plain, "model": {**plain["model"], "path": start.path}},
        train=train,
        val=val,
        form=data.context.form,
        output_dir=folder,
        part=start.part,
        ledger=ledger,
        find_checkpoint=partial(find_resume, cfg.training.resume_from_checkpoint, folder),
        callbacks=list(_make(cfg, cfg.callbacks).values()),
        contract=_contract(cfg, data.prompts, data.context, base_model=start.base_model),
    )
    return job, AnswerEvaluation(dataset=val, form=job.form, settings=plain["evaluation"], folder=folder)


def _make(cfg: Any, node: Any) -> Any:
    """Build what a node describes, of classes that the command line trusts."""
    return build(node, trusted=list(cfg.trusted_targets))


def _contract(cfg: Any, prompts: Any, context: Any, *, base_model: str) -> Any:
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
        base_model=base_model,
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


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="train", instead=_instead)


if __name__ == "__main__":
    cli()
