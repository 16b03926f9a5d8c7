"""A page lets its own script run and nothing else."""

from __future__ import annotations

import base64
import hashlib

from qvl.runtime.page import html_page


def test_only_the_own_script_may_run() -> None:
    script = "document.title = '{x}';\n"
    page = html_page("a", style="b { c: d }\n", body="<p>e</p>", script=script, attributes='data-f="g"')
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\">" in page
    assert f"<script>{script}</script>" in page
    assert '<body data-f="g">\n<p>e</p>' in page
    assert "<title>a</title>" in page
    assert "b { c: d }" in page


def test_without_a_script_none_may_run() -> None:
    page = html_page("a", style="", body="")
    assert "script" not in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'\">" in page
    assert "<body>" in page
