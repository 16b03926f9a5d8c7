"""Pieces of HTML; every text of a stranger goes through `escape`."""

from __future__ import annotations

import html
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from qvl.sweep.words import visible

__all__ = ["escape", "link", "plain_table", "visualize_command"]

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")


def escape(text: object) -> str:
    """Return text for HTML, also inside quotes of an attribute."""
    return html.escape(visible(str(text)))


def link(path: Path, text: str, *, start: Path) -> str:
    """Return a link to a file or folder, relative to the folder of the page.

    Args:
        path: Where it leads.
        text: What is shown.
        start: Folder of the page.
    """
    target = quote(os.fsencode(os.path.relpath(path, start)))
    return f'<a href="{target}">{escape(text)}</a>'


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="plain"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def visualize_command(predictions: Path) -> str:
    """Return the command that makes a page of predictions, ready for a shell and for Hydra."""
    path = str(predictions.absolute())
    if set(path) <= _BARE:
        return f"python -m qvl.visualize predictions={path}"
    hydra = path.replace("\\", "\\\\").replace("'", "\\'")
    override = f"predictions='{hydra}'"
    return f"python -m qvl.visualize {shlex.quote(override)}"
