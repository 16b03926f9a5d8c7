"""What a description says: its category and its attributes."""

from __future__ import annotations

import re

_END_OF_CATEGORY = re.compile(r"[/,]")


def category(desc: str) -> str:
    """Return the category that a description begins with.

    `type=device,brand=a` gives `device` (the value of a `key=value` token in front), `fiber/protected` and
    `fiber, blue` give `fiber` (text before the first `/` or `,`). A description that begins with a separator is its own
    category.
    """
    first = desc.split(",", 1)[0]
    key, equals, value = first.partition("=")
    if equals and key.strip() and value.strip():
        return value.strip()
    return _END_OF_CATEGORY.split(desc, maxsplit=1)[0].strip() or desc.strip()


def attributes(desc: str) -> dict[str, str]:
    """Return the `key=value` tokens of a description; other tokens are left out, the first of two equal keys wins."""
    found: dict[str, str] = {}
    for token in desc.split(","):
        key, equals, value = token.partition("=")
        if equals and key.strip():
            found.setdefault(key.strip(), value.strip())
    return found
