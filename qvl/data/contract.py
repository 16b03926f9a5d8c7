"""What a model was trained to be asked, and how: a file beside its weights, so that later uses ask the same."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from qvl.conversation import Prompts
from qvl.data.form import TurnFormat
from qvl.errors import CheckpointError
from qvl.geometry import GRIDS
from qvl.records import MODES, ORDER_POLICIES
from qvl.runtime.files import digest_of, write_json

__all__ = [
    "CONTRACT_NAME",
    "RESIZE",
    "STATE_AND_NOTES",
    "Contract",
    "check_contract",
    "load_contract",
    "model_digest",
    "write_contract",
]

CONTRACT_NAME: Final = "qvl_contract.json"
RESIZE: Final = "smart_resize, Pillow bicubic"
"""How pictures come to their size: that of Qwen's `smart_resize`, by the filter of Pillow, upright and on white."""

STATE_AND_NOTES: Final = (
    *("optimizer*", "scheduler*", "rng_state*", "scaler*", "training_args.bin", "trainer_state.json"),
    *("global_step*", "zero_to_fp32.py", "latest", "qvl_*.json", "*.md", "trained_float32.safetensors"),
)
"""Patterns of files in a checkpoint that do not change what the model answers: state of the training, and notes."""

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """What a model was trained with and has to be used with.

    Attributes:
        mode: What it answers, one of `qvl.records.MODES`.
        system: System prompt; empty for none.
        user: Text after the pictures.
        image_label: Word in front of a picture's number where a turn has several.
        emit_norm: Units of the numbers in the text: `none` (pixels), `norm100` or `norm1000`.
        order: Writing order of the objects.
        min_pixels: Area that a smaller picture is enlarged to.
        max_pixels: Area that a larger picture is shrunk to.
        side_factor: Sides of a picture that the model sees are multiples of this, in pixels.
        images_per_user_turn: Most pictures of one user turn.
        resize: How pictures come to their size, see `RESIZE`.
        language: Language of the prompts.
        domain: Name of the domain pack; empty if it is not known.
        model_type: Name of the architecture in ms-swift.
        base_model: Folder or id of the model that the training began with.
        base_digest: Digest of its files, see `model_digest`; empty if they were not at hand.
        qvl_version: What wrote this.
    """

    mode: str
    system: str
    user: str
    image_label: str
    emit_norm: str
    order: str
    min_pixels: int
    max_pixels: int
    side_factor: int
    images_per_user_turn: int = 1
    resize: str = RESIZE
    language: str = ""
    domain: str = ""
    model_type: str = "qwen3_vl"
    base_model: str = ""
    base_digest: str = ""
    qvl_version: str = ""

    def __post_init__(self) -> None:
        """Refuse values of another type, and names that do not exist."""
        types = typing.get_type_hints(type(self))
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not types[field.name]:
                raise ValueError(f"{field.name}: expected {types[field.name].__name__}, got {value!r}")
        for name, allowed in (("mode", MODES), ("emit_norm", GRIDS), ("order", ORDER_POLICIES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not one of {', '.join(allowed)}")

    @property
    def form(self) -> TurnFormat:
        """How pictures are shown and answers written."""
        return TurnFormat(
            emit_norm=self.emit_norm,
            order=self.order,
            image_label=self.image_label,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
            side_factor=self.side_factor,
        )


def model_digest(folder: Path) -> str:
    """Return one SHA-256 for weights, configuration and tokenizer of a model; about a second a gigabyte."""
    return digest_of(folder, without=STATE_AND_NOTES)


def write_contract(folder: Path, contract: Contract) -> None:
    """Write the contract into a folder of weights; before the folder is sealed."""
    write_json(folder / CONTRACT_NAME, {"format": _FORMAT, **asdict(contract)})


def load_contract(folder: str | Path) -> Contract:
    """Read the contract of a checkpoint or of an exported model.

    Args:
        folder: Where the weights lie.

    Raises:
        CheckpointError: There is no contract, or it cannot be understood; the text says what came and what was allowed.
    """
    path = Path(folder) / CONTRACT_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no contract; qvl writes one into every checkpoint") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    return _contract(values, path)


def _contract(values: object, path: Path) -> Contract:
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(values).__name__}")
    form = values.pop("format", None)
    if form != _FORMAT:
        raise CheckpointError(f"{path}: format: expected {_FORMAT}, got {form!r}")
    try:
        return Contract(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {str(error).removeprefix('Contract.__init__() ')}") from error


def check_contract(contract: Contract, form: TurnFormat, prompts: Prompts) -> None:
    """Make sure that a model is used as it was trained.

    Args:
        contract: That of the model.
        form: How pictures are to be shown and answers written.
        prompts: What is to be asked.

    Raises:
        CheckpointError: Something differs; the text has a line for each difference.
    """
    expected = _wording(contract.form, contract)
    given = _wording(form, prompts)
    if differing := [name for name, value in expected.items() if given[name] != value]:
        lines = [f"{name}: trained with {expected[name]!r}, asked for {given[name]!r}" for name in differing]
        raise CheckpointError("\n".join(f"the model was trained for something else: {line}" for line in lines))


def _wording(form: TurnFormat, prompts: Prompts) -> Mapping[str, Any]:
    return {"system": prompts.system, "user": prompts.user, **asdict(form)}
