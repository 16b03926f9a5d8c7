"""What `qvl.infer` and `qvl.evaluate` share: a model is found, agreed with and asked, and its answers are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from rich.console import Console

from qvl.build import build
from qvl.command import given_keys
from qvl.errors import ConfigError

if TYPE_CHECKING:
    from qvl.data import Contract
    from qvl.inference import AnswerFile, Answers, Unit

__all__ = ["Weights", "answer", "find_weights"]


@dataclass(frozen=True)
class Weights:
    """Where a model lies.

    Attributes:
        folder: That of the checkpoint; None for an id of a hub.
        path: Whole weights: the same, the base of an adapter or of a part, or the id.
        trained: The folder, if it holds one of these two.
        contract: What the model is asked.
    """

    folder: Path | None
    path: str
    trained: str | None
    contract: Contract


def answer(cfg: Any, weights: Weights, units: Sequence[Unit], *, out: Path) -> Counter[str]:
    """Write one record a picture or group, go on with a file that the same command has begun, and tell what came of it.

    Processes that torchrun has started share the batches; the first one writes the file, which is that of one process.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.AskConfig`.
        weights: The model.
        units: What it is asked about.
        out: File of the answers.

    Returns:
        What `qvl.inference.tally` counts, of the records that are new.

    Raises:
        QvlError: The model or the file cannot be used; a picture that cannot is a record.
    """
    from qvl.inference import AnswerFile, StageA
    from qvl.runtime.distributed import joined, rank_from_environment, together

    rank = rank_from_environment()
    if rank.world_size > 1 and cfg.engine == "vllm":
        raise ConfigError("engine: vllm uses several devices by itself, in one process: vllm={tensor_parallel_size: 8}")
    images_per_turn = cfg.images_per_turn or weights.contract.images_per_user_turn
    job = _job(cfg, weights, images_per_turn)
    counts: Counter[str] = Counter()
    with joined(rank), ExitStack() as stack:
        files: list[AnswerFile] = []  # the first process has it, the others none

        def open_file() -> int:
            if rank.is_main:
                files.append(stack.enter_context(AnswerFile(out, job=job, units=units, overwrite=cfg.overwrite)))
            return files[0].done if files else 0

        before = together(open_file)[0]
        if before < len(units):
            stage = StageA(
                units=units,
                contract=weights.contract,
                engine=_engine(cfg, weights),
                images_per_turn=images_per_turn,
                batch_size=cfg.batch_size,
            )
            counts = _write(stage.records(start=before, rank=rank), files, done=before, total=len(units))
    if rank.is_main:
        _tell(out, counts, before=before)
    return counts


def find_weights(cfg: Any, *, near: Path) -> Weights:
    """Find and verify a checkpoint, and agree on what it is asked.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.AskConfig`.
        near: Folder of the answers; `qvl://tiny` is made there.

    Raises:
        QvlError: There is no such model, it is damaged, or it was trained for something else.
    """
    from qvl.inference import agree
    from qvl.models import choose_checkpoint, find_base, resolve_model
    from qvl.runtime.checkpoint import MANIFEST_NAME, list_checkpoints
    from qvl.runtime.part import holds_part

    prompts = build(cfg.prompts, trusted=list(cfg.trusted_targets)) if "prompts" in given_keys() else None
    path = resolve_model(cfg.model.path, run_folder=near, prompts=(), seed=0)
    folder = Path(path) if Path(path).is_dir() else None
    if folder is not None and ((folder / MANIFEST_NAME).is_file() or list_checkpoints(folder)):
        folder = choose_checkpoint(folder).folder
        path = str(folder)
    contract = agree(folder, mode=cfg.mode, prompts=prompts, form=dict(cfg.form))
    if folder is None or not ((folder / "adapter_config.json").is_file() or holds_part(folder)):
        return Weights(folder, path, None, contract)
    if cfg.engine == "vllm":
        raise ConfigError(
            f"engine: vllm takes whole weights and {folder} needs its base model; merge it with qvl.export first: "
            f"python -m qvl.export checkpoint={folder} merge=true out=FOLDER"
        )
    return Weights(folder, find_base(folder, contract, base=cfg.model.base), str(folder), contract)


def _job(cfg: Any, weights: Weights, images_per_turn: int) -> dict[str, Any]:
    """Return what decides the answers: a second start goes on only with the same."""
    from qvl.runtime import digest_of, sha256_of
    from qvl.runtime.checkpoint import MANIFEST_NAME

    digest = ""
    if weights.folder is not None:
        sealed = weights.folder / MANIFEST_NAME  # verified, so that it stands for all files
        digest = sha256_of(sealed) if sealed.is_file() else digest_of(weights.folder)
    return {
        "model": cfg.model.path,
        "digest": digest,
        "base": weights.path if weights.trained else None,
        "pictures": cfg.pictures,
        "contract": asdict(weights.contract),
        "images_per_turn": images_per_turn,
        "engine": cfg.engine,
        "torch_dtype": cfg.torch_dtype,
        "max_new_tokens": cfg.max_new_tokens,
    }


def _engine(cfg: Any, weights: Weights) -> Answers:
    from qvl.inference import Engine, VllmEngine, load_model

    contract = weights.contract
    settings = {
        "pixel_limits": contract.form.pixel_limits,
        "max_new_tokens": cfg.max_new_tokens,
        "batch_size": cfg.batch_size,
    }
    if cfg.engine == "vllm":
        options: Any = OmegaConf.to_container(cfg.vllm, resolve=True)
        return VllmEngine(weights.path, model_type=contract.model_type, options=options, **settings)
    model, template = load_model(
        weights.path,
        trained=weights.trained,
        model_type=contract.model_type,
        torch_dtype=cfg.torch_dtype,
        attn_impl=cfg.attn_impl,
        device_map=cfg.device_map,
    )
    return Engine(model, template, **settings)


def _write(
    batches: Iterable[Sequence[Mapping[str, Any]]], files: Sequence[AnswerFile], *, done: int, total: int
) -> Counter[str]:
    """Write every record as soon as it is known, in the process that has the file."""
    from qvl.inference import tally
    from qvl.runtime.progress import progress_bar

    counts: Counter[str] = Counter()
    with progress_bar() as bar:
        task = bar.add_task("answering", total=total, completed=done, visible=bool(files))
        for records in batches:
            for file in files:
                file.append(records)
            counts += tally(records)
            bar.advance(task, len(records))
    return counts


def _tell(out: Path, counts: Counter[str], *, before: int) -> None:
    parts = [f"{counts['records']} records of {counts['pictures']} pictures"]
    parts += [f"{counts[key]} {text}" for key, text in _WORDS.items() if counts[key]]
    there = f" ({before} were there already)" if before else ""
    Console().print(f"{out}: {', '.join(parts)}{there}", soft_wrap=True, markup=False, highlight=False)


_WORDS = {
    "errors": "pictures could not be answered",
    "faults": "answers with faults",
    "cut_off": "answers cut off by max_new_tokens",
}
