"""Pieces of HTML; every text of a stranger goes through `escape`."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["escape", "table", "tile"]

_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}


def escape(value: object) -> str:
    """Return text for HTML, also inside quotes; control characters, which a browser hides, become visible symbols."""
    return html.escape(str(value).translate(_VISIBLE))


def tile(name: str, value: str, remark: str) -> str:
    """Return a number with its name below."""
    return f'<span class="tile"><b>{escape(value)}</b>{escape(name)}<small>{escape(remark)}</small></span>'


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    named = f"<caption>{escape(caption)}</caption>"
    return f"<div><table>{named}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
