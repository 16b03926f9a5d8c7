"""The page that tells what an exported model is, and the commands that use it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qvl.data import Contract
from qvl.metrics import HEADLINE, label_of
from qvl.models.merge import MergeReport

__all__ = ["SYSTEM_FILE", "USER_FILE", "ModelCard", "render_card", "run_facts", "use_commands"]

SYSTEM_FILE: Final = "system_prompt.txt"
USER_FILE: Final = "user_prompt.txt"

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """What the page tells.

    Attributes:
        name: Title.
        contract: What the model was trained to be asked.
        chosen: Which checkpoint it is, and why.
        facts: Of the run, see `run_facts`.
        is_adapter: Whether the folder holds an adapter and not a whole model.
        merge: How far the merged weights agree with the adapter; None if nothing was merged.
        agreement: What was found when its prompts were compared; empty if that was not asked for.
    """

    name: str
    contract: Contract
    chosen: str
    facts: Mapping[str, Any]
    is_adapter: bool
    merge: MergeReport | None = None
    agreement: str = ""


def run_facts(run: Path | None) -> dict[str, Any]:
    """Return what the folder of a run tells: its manifest and `metrics`; {} of what is not there."""
    if run is None:
        return {}
    facts: dict[str, Any] = {}
    for name in ("run_manifest", "metrics"):
        path = run / f"{name}.json"
        if path.is_file():
            value = json.loads(path.read_text(encoding="utf-8"))
            facts |= {"metrics": value} if name == "metrics" else value
    return facts


def use_commands(folder: Path, contract: Contract, *, is_adapter: bool) -> list[str]:
    """Return commands that use an exported model as it was trained; servers listen on this machine only.

    vLLM serves whole models only: it does not load the modules that were trained beside the adapter.
    """
    factor = contract.side_factor**2
    least, most = -(-contract.min_pixels // factor), contract.max_pixels // factor
    limits = f"IMAGE_MIN_TOKEN_NUM={least} IMAGE_MAX_TOKEN_NUM={most}"
    place = shlex.quote(str(folder))
    model = f"--adapters {place}" if is_adapter else f"--model {place} --model_type {contract.model_type}"
    system = f" --system {shlex.quote(str(folder / SYSTEM_FILE))}" if contract.system else ""
    commands = [
        f"{limits} swift infer {model}{system} --temperature 0",
        f"{limits} swift deploy {model}{system} --temperature 0 --host {_LOOPBACK} --port 8000",
    ]
    if not is_adapter:
        commands.append(f"vllm serve {place} --host {_LOOPBACK} --port 8000")
    return commands


def render_card(card: ModelCard) -> str:
    """Return the page in Markdown with the heading that model hubs read."""
    sections = (_heading(card), _use(card), _training(card), _scores(card), _data(card), _checks(card))
    return "\n\n".join("\n".join(lines) for section in sections if (lines := list(section))) + "\n"


def _heading(card: ModelCard) -> Iterator[str]:
    contract = card.contract
    kind = "adapter" if card.is_adapter else "finetune"
    yield from ("---", f"base_model: {json.dumps(contract.base_model)}", f"base_model_relation: {kind}")
    yield f"library_name: {'peft' if card.is_adapter else 'transformers'}"
    yield from ("pipeline_tag: image-text-to-text", "tags: [qvl, qwen3-vl]", "---", "", f"# {card.name}", "")
    yield f"Made with qvl {contract.qvl_version} from `{contract.base_model}` (digest `{contract.base_digest or '-'}`)."
    yield f"Checkpoint of step {card.chosen}."


def _use(card: ModelCard) -> Iterator[str]:
    contract = card.contract
    units = "pixels" if contract.form.grid is None else f"0..{contract.form.grid}"
    yield from (
        "## Use",
        "",
        "Ask it what it was trained to be asked; `qvl_contract.json` says the same for programs.",
        "",
    )
    yield f"- answers: {contract.mode}, language of the prompts `{contract.language or '-'}`, "
    yield f"  domain `{contract.domain or '-'}`, numbers in {units}, objects in order `{contract.order}`"
    yield f"- pictures: upright, {contract.min_pixels} to {contract.max_pixels} pixels, sides multiples of "
    yield f"  {contract.side_factor}, resized by {contract.resize}; up to {contract.images_per_user_turn} in a turn,"
    yield f"  several of them labelled `{contract.image_label}_1: `, `{contract.image_label}_2: `, ..."
    yield from ("", f"System prompt, `{SYSTEM_FILE}`:", "", *_quoted(contract.system or "(none)"))
    yield from ("", f"User prompt, after the pictures, `{USER_FILE}`:", "", *_quoted(contract.user))
    commands = use_commands(Path("."), contract, is_adapter=card.is_adapter)
    yield from ("", "In this folder:", "", *(f"    {command}" for command in commands))


def _training(card: ModelCard) -> Iterator[str]:
    facts = card.facts
    if "overrides" not in facts:
        return
    command = shlex.join(["python", "-m", "qvl.train", *facts["overrides"]])
    yield from ("## Training", "", f"    {command}", "")
    yield f"- seed {facts['seed']}, {facts['world_size']} processes"
    if git := facts.get("git"):
        yield f"- code at revision `{git['revision']}`{', with changes' if git['dirty'] else ''}"
    yield "- " + ", ".join(f"{name} {version}" for name, version in facts["packages"].items())


def _scores(card: ModelCard) -> Iterator[str]:
    metrics = card.facts.get("metrics")
    if not metrics:
        return
    yield from ("## Scores", "", f"Held-out data, at the end of the run, step {metrics['global_step']}.", "")
    yield from ("| | before | after |", "|---|---|---|")
    for name in HEADLINE:
        before, after = (metrics[when].get(name) for when in ("before", "after"))
        if after is not None:
            yield f"| {label_of(name)} | {'-' if before is None else f'{before:.4f}'} | {after:.4f} |"


def _data(card: ModelCard) -> Iterator[str]:
    files = card.facts.get("data")
    if not files:
        return
    yield from ("## Data", "", "| file | rows | SHA-256 |", "|---|---|---|")
    yield from (f"| {Path(file['path']).name} | {file['rows']} | `{file['sha256']}` |" for file in files)


def _checks(card: ModelCard) -> Iterator[str]:
    if card.merge is None and not card.agreement:
        return
    yield from ("## Checks", "")
    if (merge := card.merge) is not None:
        yield f"- merged in float32, written as {merge.dtype}: the largest difference of a logit from what was "
        yield f"  trained is {merge.difference:.2g} of the largest logit, as written {merge.written_difference:.2g}"
    if card.agreement:
        yield f"- {card.agreement}"


def _quoted(text: str) -> Iterator[str]:
    yield from (f"    {line}" for line in text.splitlines())
