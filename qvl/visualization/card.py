"""What a gallery shows: cards of panels, a panel being a picture with its objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from qvl.geometry import Shape

__all__ = ["MOST_NUMBERS", "Card", "Item", "Panel", "list_numbers", "shorten_label"]

MOST_NUMBERS = 12
"""Numbers of a shape that are told in a list."""

_LONGEST_LABEL = 24


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a panel.

    Attributes:
        desc: The whole description.
        name: What stands beside its number in the picture.
        color: Of its shape and its number, `#rrggbb`.
        shape: In the units of the panel; None if it has none.
        note: A remark behind the description.
        stress: A few words behind the remark that stand out.
        numbers: How the shape is written.
        facets: What it can be filtered by, such as {"category": "cable"}.
    """

    desc: str
    name: str
    color: str
    shape: Shape | None
    note: str = ""
    stress: str = ""
    numbers: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A picture with its objects.

    Attributes:
        heading: Name of the panel.
        remark: A few words behind the name.
        image: RGB; panels of a card that hold the same object share it in the page. None for a panel of text.
        extent: (width, height) of the picture in the units of its shapes.
        items: Its objects, numbered from 1.
        folded: Whether the list of the objects is closed at first.
        exact: Whether every pixel matters: the picture keeps its size and is not smoothed when it is enlarged.
        text: Lines above the list.
        listed: Whether there is a list of the objects.
    """

    heading: str
    remark: str
    image: Image.Image | None
    extent: tuple[float, float]
    items: Sequence[Item]
    folded: bool = False
    exact: bool = False
    text: str = ""
    listed: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """One entry of a gallery.

    Attributes:
        heading: Its title.
        name: Behind the title, such as the name of a file.
        origin: A line below: where it comes from.
        panels: Side by side.
        faults: What is wrong, as (code, where, message).
        texts: Longer texts, closed at first, as (title, text).
        facets: What the card as a whole can be filtered by; the same keys for all cards of a gallery.
        orders: Numbers that cards can be sorted by; a card that lacks one comes last.
        stress: Words behind the name that stand out.
    """

    heading: str
    name: str
    origin: str
    panels: Sequence[Panel]
    faults: Sequence[tuple[str, str, str]] = ()
    texts: Sequence[tuple[str, str]] = ()
    facets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    orders: Mapping[str, float] = field(default_factory=dict)
    stress: Sequence[str] = ()


def shorten_label(text: str) -> str:
    """Return a text that fits into a tag, cut off if it has to be."""
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 3]}..."


def list_numbers(key: str, numbers: Sequence[float]) -> str:
    """Return how a shape is written, rounded to a tenth and cut off after a few numbers."""
    shown = ", ".join(f"{value:.1f}".removesuffix(".0") for value in numbers[:MOST_NUMBERS])
    rest = f", ... ({len(numbers)} numbers)" if len(numbers) > MOST_NUMBERS else ""
    return f"{key} [{shown}{rest}]"
