"""The frame of every HTML page: one file that asks for nothing."""

from __future__ import annotations

import base64
import hashlib

__all__ = ["html_page"]

# Nothing is fetched and no other script runs, even if a text of a stranger were taken for markup.
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'\
{script_policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body{attributes}>
{body}
{script}</body>
</html>
"""


def html_page(title: str, *, style: str, body: str, script: str = "", attributes: str = "") -> str:
    """Return a whole HTML document that holds all it needs.

    Args:
        title: Text that went through an escape.
        style: Its style sheet.
        body: HTML; every text of a stranger in it went through an escape.
        script: The only script that may run; "" for none.
        attributes: Of the body, such as `data-labels="auto"`.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _PAGE.format(
        title=title,
        style=style,
        body=body,
        script=f"<script>{script}</script>\n" if script else "",
        script_policy=f"; script-src 'sha256-{digest}'" if script else "",
        attributes=f" {attributes}" if attributes else "",
    )
