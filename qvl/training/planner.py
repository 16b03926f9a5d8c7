"""Makes the plan of a run from its configuration and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qvl.data import TurnDataset, TurnFormat
from qvl.errors import RecordError
from qvl.training.arguments import accumulation_steps
from qvl.training.encoding import ConversationEncoder
from qvl.training.load_plan import EstimatingEncoder, plan_load, sampled_lengths, sampled_rows
from qvl.training.model_plan import load_config, plan_model
from qvl.training.run_plan import RunPlan, find_device
from qvl.training.sampling import Machine, TurnBatches
from qvl.training.template import load_encoder

__all__ = ["make_plan"]


def make_plan(
    config: Mapping[str, Any], train: TurnDataset, *, path: str, shipped: str, form: TurnFormat
) -> tuple[RunPlan, list[str]]:
    """Plan a run.

    Args:
        config: Sections and root keys of the configuration as plain values.
        train: Rows to train on, without augmentation.
        path: Checkpoint folder or hub id, see `qvl.models.resolve_model`.
        shipped: Folder of the shipped model, whose tokenizer stands in for one that cannot be had.
        form: How pictures are shown and answers written.

    Returns:
        The plan, and sentences on what is assumed.

    Raises:
        QvlError: The model, the tuner or the data cannot be used.
    """
    training = config["training"]
    turns, batch_size = int(training["effective_batch_size"]), int(training["per_device_train_batch_size"])
    device = find_device(config["plan"], micro_batches=max(turns // batch_size, 1))
    several = f"{device.processes} device{'' if device.processes == 1 else 's'}"
    notes = [f"for {several} ({device.name}); plan.processes=N and plan.device_gb=N change that"]
    machine = Machine(
        batch_size=batch_size,
        accumulation=accumulation_steps(turns, batch_size, device.processes),
        world_size=device.processes,
    )
    model = plan_model(load_config(path), config["tuner"])
    encoder = _encoder(path, str(config["model"]["model_type"]), shipped, form, notes)
    _check(train)
    lengths, measured = sampled_lengths(train, encoder)
    rows = sum(len(part.rows) for part in train.parts)
    if measured < rows:
        notes.append(f"lengths of {measured:,} of {rows:,} rows were measured, the others taken for alike")
    if config["augment_prob"] > 0:
        notes.append("lengths are those without augmentation")
    batches = TurnBatches(
        train,
        lengths,
        machine=machine,
        batching=config["data"]["batching"],
        limit=int(config["global_max_length"]),
        total_steps=max(int(training["max_steps"]), 0) or None,
        epochs=float(training["num_train_epochs"]),
    )
    load = plan_load(batches)
    if load.longest > config["global_max_length"]:
        notes.append(f"the longest turn has more tokens than global_max_length={config['global_max_length']}")
    return RunPlan(config, model, load, device, path), notes


def _encoder(path: str, model_type: str, shipped: str, form: TurnFormat, notes: list[str]) -> ConversationEncoder:
    """Return the template of a model, or one that guesses lengths if the tokenizer is out of reach."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return load_encoder(path, model_type=model_type, form=form)
    except (OSError, HfHubHTTPError):
        notes.append(f"the tokenizer of {path} cannot be had; tokens of texts are estimated (answers within about 5 %)")
    stand_in = load_encoder(shipped, model_type="qwen3_vl", form=form)
    return EstimatingEncoder(stand_in.template, form)


def _check(train: TurnDataset) -> None:
    """Make sure that the rows can be read, pictures aside; of a long file those that are measured are looked at.

    Raises:
        RecordError: A row cannot be used; the text is about the first one.
    """
    for part in train.parts:
        rows = part.rows
        looked = [rows.look(rows.number(index)) for index in sampled_rows(len(rows)).tolist()]
        fatal = [finding for row in looked for finding in row.fatal]
        if not fatal and any(row.removed for row in looked):
            fatal = [finding for finding in rows.check(images="off") if finding.fatal]  # it has to be known which ones
        if fatal:
            raise RecordError(f"{fatal[0]} (and {len(fatal) - 1} more findings); qvl.validate lists them all")
