"""The machine that a run starts on: what it has, and what of that a run cannot use."""

from __future__ import annotations

from qvl.machine.attention import ATTENTIONS, attention_here, choose_attention, has_device
from qvl.machine.facts import Machine, gather
from qvl.machine.rules import SETS, MachineFinding, Needs, Required, find_faults
from qvl.machine.storage import Checkpoints, checkpoint_bytes, room_bytes, weights_bytes
from qvl.machine.weights import HubState, cached_folder, hub_state

__all__ = [
    "ATTENTIONS",
    "SETS",
    "Checkpoints",
    "HubState",
    "Machine",
    "MachineFinding",
    "Needs",
    "Required",
    "attention_here",
    "cached_folder",
    "checkpoint_bytes",
    "choose_attention",
    "find_faults",
    "gather",
    "has_device",
    "hub_state",
    "room_bytes",
    "weights_bytes",
]
