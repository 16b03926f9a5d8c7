"""Checkpoints: the shipped tiny model, which one to load, what it was trained for, and how it is handed on."""

from qvl.data import Contract, check_contract, load_contract
from qvl.models.card import SYSTEM_FILE, USER_FILE, ModelCard, render_card, run_facts, use_commands
from qvl.models.merge import DTYPES, MergeReport, find_base, merge_adapter, merge_part
from qvl.models.package import copy_weights, finish, staged, write_processor
from qvl.models.plain import PlainPrompt, plain_prompt, resize_difference
from qvl.models.probes import probe_messages
from qvl.models.resolve import SHIPPED, find_resume, names_own, resolve_model
from qvl.models.select import LAST, ChosenCheckpoint, choose_checkpoint
from qvl.models.start import Start, find_start
from qvl.models.tiny import create_tiny_checkpoint

__all__ = [
    "DTYPES",
    "LAST",
    "SHIPPED",
    "SYSTEM_FILE",
    "USER_FILE",
    "ChosenCheckpoint",
    "Contract",
    "MergeReport",
    "ModelCard",
    "PlainPrompt",
    "Start",
    "check_contract",
    "choose_checkpoint",
    "copy_weights",
    "create_tiny_checkpoint",
    "find_base",
    "find_resume",
    "find_start",
    "finish",
    "load_contract",
    "merge_adapter",
    "merge_part",
    "names_own",
    "plain_prompt",
    "probe_messages",
    "render_card",
    "resize_difference",
    "resolve_model",
    "run_facts",
    "staged",
    "use_commands",
    "write_processor",
]
