"""Prompts for a look at a model: those of rows, or of two pictures that are drawn here."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from qvl.conversation import Message, build_messages
from qvl.data import Contract, Turn

__all__ = ["probe_messages"]

_SIZE = (640, 480)


def probe_messages(contract: Contract, turns: Sequence[Turn] = ()) -> list[list[Message]]:
    """Return prompts as the contract has them, without answers.

    Args:
        contract: What is asked.
        turns: Their pictures are shown; without any, a gradient from top to bottom and one from the centre are.
    """
    drawn = (Image.linear_gradient("L"), Image.radial_gradient("L"))
    pictures = [list(turn.pictures) for turn in turns] or [[one.convert("RGB").resize(_SIZE)] for one in drawn]
    return [
        build_messages(
            images, system=contract.system, user=contract.user, answer=None, image_label=contract.image_label
        )
        for images in pictures
    ]
