"""The page and the Markdown hold what was found, and nothing of a stranger becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from rich.console import Console

from qvl.sweep import (
    Analysis,
    analyze,
    make_table,
    read_sweep,
    render_console,
    render_markdown,
    render_page,
    tell_facts,
)
from qvl.sweep.markup import visualize_command

VOID = ("meta", "br", "circle", "path", "polyline")
HOSTILE = "<script>alert(1)</script>\"'&|`*]\x1b[31m\u202e"


class Parsed(HTMLParser):
    """Collects elements, and checks that each one is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID or not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self.open += [tag] * (tag not in ("meta", "br"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def analysis(folder: Path, metric: str = "detection/f1_50", *, higher: bool = True) -> Analysis:
    return analyze(read_sweep(folder), metric=metric, higher_is_better=higher)


def page(found: Analysis) -> str:
    return render_page(found, title="t", facts=tell_facts(found, written="now"), start=found.sweep.folder)


def markdown(found: Analysis) -> str:
    return render_markdown(found, title="t", facts=tell_facts(found, written="now"))


def test_the_page_tells_the_whole_sweep(realistic_sweep: Any) -> None:
    found = analysis(realistic_sweep.folder)
    text = page(found)
    parsed = Parsed(text)
    assert found.best == "6"
    ids = [attributes["id"] for attributes in parsed.all("section")]
    assert ids == ["jobs", "running", "effects", "curves", "failed", "pictures"]
    rows = [attributes for attributes in parsed.all("tr") if "data-job" in attributes]
    assert [row.get("class") for row in rows].count("best") == 1
    assert len(rows) == 12
    for words in ("ValueError: boom", "step 12 of 40", "against 1e-5", "better in 3 of 3", "train/grad_norm"):
        assert words in text
    assert text.count('class="curve"') == 10 + 8 + 8


def test_the_page_needs_nothing_from_outside_and_runs_its_own_script_only(realistic_sweep: Any) -> None:
    text = page(analysis(realistic_sweep.folder))
    parsed = Parsed(text)
    links = [attributes["href"] or "" for attributes in parsed.all("a")]
    inside = [link for link in links if not link.startswith("#")]
    assert {tag for tag, _ in parsed.elements} & {"link", "img", "iframe", "object", "base"} == set()
    assert all((realistic_sweep.folder / link).exists() for link in inside)
    assert len(inside) > 12
    anchors = {attributes["id"] for _, attributes in parsed.elements if "id" in attributes}
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_hostile_texts_stay_texts(tmp_path: Path, fake: Any, metrics: Any, events: Any) -> None:
    sweep = fake(tmp_path)
    for number in range(2):
        job = sweep.job(f"key.{HOSTILE}={number}{HOSTILE}", f"a={HOSTILE}{number}")
        metrics(job, 0.1 * number, **{HOSTILE: 0.5})
        events(job, {f"train/{HOSTILE}": [(1, 0.5), (2, 0.4)]})
    cause = {"rank": 0, "exception": HOSTILE, "last_lines": [HOSTILE, "```", "# x"]}
    sweep.job(f"a={HOSTILE}", state=HOSTILE, cause=cause, history=[{"attempt": HOSTILE, "cause": HOSTILE}])
    (sweep.planned("a b#?%&<i>") / "status.json").write_text("{", encoding="utf-8")
    (tmp_path / "0" / "<b>.html").write_text("", encoding="utf-8")
    found = analysis(tmp_path, HOSTILE)
    parsed = Parsed(page(found))
    assert len(parsed.all("script")) == 1
    assert HOSTILE in found.metrics and HOSTILE not in analysis(tmp_path).metrics
    assert {tag for tag, _ in parsed.elements} & {"i", "img"} == set()
    assert all(not name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    assert not set("\x1b\u202e") & set(page(found) + markdown(found))
    table = [line for line in markdown(found).splitlines() if line.startswith("| 0")]
    assert len(re.findall(r"(?<!\\)\|", table[0])) == len(make_table(found)[0]) + 1 - len(found.before)
    assert "<script" not in markdown(found).partition("```")[0]
    assert "````text" in markdown(found)


@pytest.mark.parametrize("num_jobs", [0, 1, 3])
def test_a_sweep_without_results_is_told(tmp_path: Path, fake: Any, num_jobs: int) -> None:
    sweep = fake(tmp_path, state="running")
    sweep.write()
    for number in range(num_jobs):
        sweep.job(f"a={number}", state="running")
    found = analysis(tmp_path)
    assert (found.best, found.num_scored, len(found.sweep.jobs)) == (None, 0, num_jobs)
    Parsed(page(found))
    assert "| job |" in markdown(found)


def test_one_finished_job_is_the_best(tmp_path: Path, fake: Any, metrics: Any) -> None:
    metrics(fake(tmp_path).job("a=1"), 0.5)
    found = analysis(tmp_path)
    assert (found.best, found.keys, found.effects) == ("0", (), ())
    assert "0 ★" in markdown(found)


def test_another_metric_and_direction(realistic_sweep: Any) -> None:
    found = analysis(realistic_sweep.folder, "loss", higher=False)
    assert found.best == "6"
    assert found.metrics[:2] == ("loss", "detection/f1_50")
    assert ("lowest loss", "0.4103 by job 6 (learning_rate=1e-4, augmentation=full, seed=1)") in tell_facts(
        found, written=""
    )


def test_only_the_headline_and_the_chosen_score_have_columns(realistic_sweep: Any) -> None:
    heads = [column.name for column in make_table(analysis(realistic_sweep.folder))[0] if column.kind == "metric"]
    assert heads == ["F1@0.5", "loss", "precision@0.5"]
    found = analysis(realistic_sweep.folder, "detection/count_error", higher=False)
    assert found.metrics[0] == "detection/count_error"
    assert found.same_before == {"detection/count_error": 2.5, "detection/f1_50": 0.05}
    assert '<th class="metric number" title="detection/f1_50">' in page(found)


def test_a_metric_that_no_job_has_is_told_with_those_that_there_are(realistic_sweep: Any) -> None:
    found = analysis(realistic_sweep.folder, "f2")
    assert found.best is None
    names = "loss, detection/f1_50, detection/precision_50, detection/count_error"
    assert found.notes[0] == f"No job has the metric f2; there are: {names}."
    assert found.notes[0] in page(found)


def test_a_seed_is_a_repetition_and_no_effect(tmp_path: Path, fake: Any, metrics: Any) -> None:
    sweep = fake(tmp_path)
    for seed, score in enumerate((0.4, 0.5, 0.6)):
        metrics(sweep.job(f"seed={seed}"), score)
    found = analysis(tmp_path)
    assert (found.keys, found.effects, found.repeats.std) == (("seed",), (), pytest.approx(0.1))
    assert any(name == "spread over seeds" for name, _ in tell_facts(found, written=""))
    assert "Means over seeds" in page(found)


def test_scores_before_training_have_columns_where_they_differ(tmp_path: Path, fake: Any, metrics: Any) -> None:
    sweep = fake(tmp_path)
    metrics(sweep.job("a=1"), 0.5, before=0.1)
    metrics(sweep.job("a=2"), 0.5, before=0.1)
    assert (analysis(tmp_path).before, analysis(tmp_path).same_before) == ((), {"detection/f1_50": 0.1})
    metrics(sweep.job("a=3"), 0.5, before=0.2)
    assert (analysis(tmp_path).before, analysis(tmp_path).same_before) == (("detection/f1_50",), {})
    assert "F1@0.5 before" in markdown(analysis(tmp_path))


def test_a_command_for_pictures_survives_the_shell_and_hydra(tmp_path: Path, fake: Any) -> None:
    sweep = fake(tmp_path / "a=1,b's {x}")
    (sweep.job() / "predictions_after.jsonl").write_text("", encoding="utf-8")
    (path,) = read_sweep(sweep.folder).jobs[0].files.predictions
    word = shlex.split(visualize_command(path))[-1]
    (override,) = OverridesParser.create().parse_overrides([word])
    assert override.value() == str(path)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_table_on_a_terminal_keeps_state_and_score(tmp_path: Path, fake: Any, metrics: Any, width: int) -> None:
    sweep = fake(tmp_path)
    for number in range(3):
        given = [f"key_{index}=a/very/long/value/{index}{number}" for index in range(12)]
        metrics(sweep.job(*given, f"a=[bold]{HOSTILE}{number}"), 0.125 * number)
    console = Console(width=width, record=True, file=StringIO())
    console.print(render_console(analysis(tmp_path), width=width))
    text = console.export_text()
    assert all(words in text for words in ("completed", "0.1250", "0.2500", "2 ★"))
    assert ("more keys are on the page" in text) == (width < 200)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
