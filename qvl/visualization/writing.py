"""Cards to one page or to a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qvl.runtime import write_text
from qvl.visualization.card import Card
from qvl.visualization.fonts import FONT_ADVICE, FontBook
from qvl.visualization.gallery import Layout, render_gallery, track_cards
from qvl.visualization.sheet import write_sheets

__all__ = ["is_page_name", "write_gallery"]

_PAGE_ENDINGS = (".html", ".htm")


def is_page_name(out: Path) -> bool:
    """Tell whether a place names a page, and not a folder of pictures."""
    return out.suffix.lower() in _PAGE_ENDINGS


def write_gallery(cards: Iterable[Card], layout: Layout, out: Path, *, total: int) -> list[str]:
    """Write cards and return lines that tell of it.

    Args:
        cards: Made one at a time, while they are written.
        layout: What a page has besides its cards.
        out: A page (`.html`), or a folder that gets one PNG file a card.
        total: Number of cards, for the progress bar.

    Raises:
        OSError: Nothing can be written there.
    """
    tracked = track_cards(cards, total=total)
    if is_page_name(out):
        write_text(out, render_gallery(tracked, layout))
        return [f"page   {out.resolve()} ({total} pictures)"]
    fonts = FontBook()
    out.mkdir(exist_ok=True)
    lines = [f"folder   {out.resolve()} ({write_sheets(tracked, out, fonts=fonts)} files)"]
    if fonts.unwritten:
        first = next(iter(fonts.unwritten))
        lines.append(f"{sum(fonts.unwritten.values())} texts could not be written, such as {first!r}: {FONT_ADVICE}")
    return lines
