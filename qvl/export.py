"""Verb: make a folder to hand on of a checkpoint, `python -m qvl.export checkpoint=RUN out=FOLDER merge=true`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from qvl.command import run
from qvl.errors import ConfigError, HealthError, RecordError, listed
from qvl.schema import ExportConfig

__all__ = ["cli", "main"]


def main(cfg: Any) -> None:
    """Choose, copy or merge, compare, write the card, and say how the result is used.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.ExportConfig`.

    Raises:
        QvlError: The checkpoint cannot be used, or what was made of it is not the same model. Nothing is left behind.
    """
    from qvl.models import ModelCard, choose_checkpoint, finish, load_contract, render_card, run_facts, staged
    from qvl.runtime import configure_logging

    configure_logging("INFO", 0)
    chosen = choose_checkpoint(Path(cfg.checkpoint), metric=cfg.metric)
    contract = load_contract(chosen.folder)
    out = Path(cfg.out)
    with staged(out) as staging:
        turns = [] if cfg.check is None else _turns(cfg, contract)
        source = _trained_on(cfg, chosen, contract)
        merge, used = _write(cfg, chosen, contract, staging, source=source, turns=turns)
        agreement = _compare(contract, turns, trained=source, used=used)
        card = ModelCard(
            name=out.name,
            contract=contract,
            chosen=f"{chosen.step}: {chosen.reason}",
            facts=run_facts(chosen.run),
            is_adapter=chosen.has_adapter and not cfg.merge,
            merge=merge,
            agreement=agreement,
        )
        finish(staging, contract, card=render_card(card), step=chosen.step)
    _show(chosen, card, out)


def _trained_on(cfg: Any, chosen: Any, contract: Any) -> str:
    """Return the folder or id whose tokenizer and picture processor were used in training."""
    from qvl.models import find_base

    has_base = chosen.has_adapter or chosen.has_part
    return find_base(chosen.folder, contract, base=cfg.base) if has_base else str(chosen.folder)


def _write(
    cfg: Any, chosen: Any, contract: Any, staging: Path, *, source: str, turns: Sequence[Any]
) -> tuple[Any, str]:
    """Write weights; return how well they were merged, and where the processor for them lies."""
    from qvl.models import copy_weights, merge_adapter, merge_part, plain_prompt, probe_messages, write_processor

    if not chosen.has_part and not (chosen.has_adapter and cfg.merge):
        copy_weights(chosen, staging)
        if chosen.has_adapter:
            return None, source
        write_processor(source, staging, contract.form)
        return None, str(staging)
    processor = write_processor(source, staging, contract.form)
    messages = probe_messages(contract, turns)
    probes = [plain_prompt(processor, one, contract.form).inputs for one in messages]
    merge = merge_part if chosen.has_part else merge_adapter
    report = merge(chosen.folder, staging, base=source, probes=probes, dtype=cfg.dtype, tolerance=cfg.tolerance)
    return report, str(staging)


def _turns(cfg: Any, contract: Any) -> list[Any]:
    """Return the turns of the first rows of `check`, built as training builds them."""
    from qvl.conversation import DenseBuilder, SummaryBuilder
    from qvl.data import JsonlDataset, KeepAll, SampleContext

    if contract.mode == "dense":
        builder: Any = DenseBuilder(prompts=contract, emit_norm=contract.emit_norm, order=contract.order)
    elif contract.mode == "summary":
        builder = SummaryBuilder(prompts=contract)
    else:
        raise ConfigError(f"check: the model was trained for {contract.mode}, which has no pictures to compare")
    context = SampleContext(builder, contract.form, 0, training=False, allowed_roots=tuple(cfg.allowed_roots))
    dataset = JsonlDataset(
        path=str(cfg.check),
        preprocessor=KeepAll(),
        context=context,
        images_per_user_turn=contract.images_per_user_turn,
        limit=cfg.check_rows,
        shuffle=False,
    )
    if fatal := [finding for finding in dataset.check(images="decode") if finding.fatal]:
        raise RecordError(listed([str(finding) for finding in fatal]))
    return [dataset[number] for number in range(len(dataset))]


def _compare(contract: Any, turns: Sequence[Any], *, trained: str, used: str) -> str:
    """Compare the prompts of training, of inference and of transformers alone; return a line for the card.

    Raises:
        HealthError: They differ; the text lists rows and parts.
    """
    from transformers import AutoProcessor

    from qvl.health import compare_prompts
    from qvl.inference import inference_prompt
    from qvl.models import plain_prompt, resize_difference
    from qvl.training import load_encoder, training_prompt

    if not turns:
        return ""
    before = load_encoder(trained, model_type=contract.model_type, form=contract.form)
    after = load_encoder(used, model_type=contract.model_type, form=contract.form)
    processor: Any = AutoProcessor.from_pretrained(used, trust_remote_code=False)
    found, levels = [], 0.0
    for turn in turns:
        messages = turn.inputs["messages"]
        ways = {
            "training": training_prompt(before, turn),
            "inference": inference_prompt(after.template, turn.inputs, pixel_limits=contract.form.pixel_limits),
            "transformers": plain_prompt(processor, messages, contract.form).encoded,
        }
        found += compare_prompts(ways, where=", ".join(str(record.source) for record in turn.records))
        levels = max(levels, resize_difference(processor, messages, contract.form))
    if found:
        raise HealthError(listed([str(item) for item in found]))
    return (
        f"{len(turns)} user turns: text, tokens and pixels are the same bytes in training, in inference and with "
        f"transformers alone; a processor that resizes by itself makes pixels differ by at most {levels:.0f} of 255"
    )


def _show(chosen: Any, card: Any, out: Path) -> None:
    from qvl.models import use_commands

    lines = [f"checkpoint   {chosen.folder}, step {card.chosen}", f"written      {out.resolve()}"]
    if card.merge is not None:
        lines.append(
            f"merged       logits differ by at most {card.merge.difference:.2g} of the largest one, "
            f"as written in {card.merge.dtype} {card.merge.written_difference:.2g}"
        )
    if card.agreement:
        lines.append(f"compared     {card.agreement}")
    commands = use_commands(out.resolve(), card.contract, is_adapter=card.is_adapter)
    console = Console()
    for line in (*lines, "use it       " + "\n             ".join(commands)):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="export", schema=ExportConfig)


if __name__ == "__main__":
    cli()
