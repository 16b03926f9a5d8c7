"""Values that somebody has chosen to do harm arrive as they are, or are refused in words."""

from __future__ import annotations

import io
import os
import string
from pathlib import Path
from typing import Any

import pytest
from composing import compose
from hydra.conf import HydraConf
from hydra.core.utils import setup_globals
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._job_file import freeze, job_text
from hydra_plugins.qvl_torchrun_launcher._jobs import Task
from hydra_plugins.qvl_torchrun_launcher._preflight import prepare_jobs
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from sweeps import leftovers, run, settings

TEXTS = [
    "",
    " ",
    "null",
    "true",
    "no",
    "1e3",
    "012",
    "12:30:00",
    "0x1F",
    "1_000",
    "~",
    "=",
    "<<",
    "*a",
    "&a",
    "!!python/object/apply:os.system [id]",
    "- a",
    "a: b",
    "{a: b}",
    "[a, b]",
    "# no comment",
    "%TAG",
    "---",
    "...",
    "a,b",
    "it's",
    'say "hi"',
    "'",
    "''",
    '"',
    "\\",
    "\\\\",
    "a\\'b",
    "$HOME",
    "$(touch /tmp/x)",
    "`touch /tmp/x`",
    "; touch /tmp/x",
    "&& touch /tmp/x",
    "| cat",
    "> /tmp/x",
    "*",
    "?",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "--help",
    "-m",
    "x=1",
    "a\nb",
    "\n",
    "a\tb",
    "a\r\nb",
    "\x1b[31mred",
    "[red]rich[/red]",
    "\u2028",
    "\x85",
    "\ufeffbom",
    "\u202eright to left",
    "日本語",
    "🙂",
    "e\u0301",
    "{}",
    "$",
    "$$",
    "$}",
    "%s%n",
    "x" * 300,
    "x" * 5000,
]
INTERPOLATIONS = [
    (r"\${x}", "${x}"),
    (r"\\\${x}", r"\${x}"),
    (r"a\${oc.env:HOME}b", "a${oc.env:HOME}b"),
    (r"\${", "${"),
    (r"${x}\${x}", "7${x}"),
]


def quoted(text: str) -> str:
    """Return a text as Hydra's grammar wants it: quotes and the backslashes before them are escaped."""
    trailing = len(text) - len(text.rstrip("\\"))
    body = "".join("\\'" if char == "'" else char for char in double_before_quotes(text))
    return f"'{body}{trailing * chr(92)}'"


def double_before_quotes(text: str) -> str:
    out, run_length = [], 0
    for char in text:
        if char == "'":
            out.append("\\" * run_length)
        run_length = run_length + 1 if char == "\\" else 0
        out.append(char)
    return "".join(out)


def reread(config: DictConfig) -> DictConfig:
    """Return the job of a configuration as a rank reads it."""
    loaded = OmegaConf.load(io.StringIO(job_text("a:b", config)))
    assert isinstance(loaded, DictConfig)
    return OmegaConf.create(OmegaConf.to_container(loaded.job, resolve=False))


def config_of(**values: Any) -> DictConfig:
    setup_globals()
    return OmegaConf.create({**values, "hydra": OmegaConf.structured(HydraConf)})


def test_hostile_texts_on_the_command_line_reach_the_job_file(tmp_path: Path) -> None:
    parts = [TEXTS[first : first + 8] for first in range(0, len(TEXTS), 8)]
    batch = [[f"+t.k{index}={quoted(text)}" for index, text in enumerate(part)] for part in parts]
    jobs = compose(tmp_path / "runs", batch)
    prepare_jobs(jobs, Task("app:main"), make=str)
    for job, part in zip(jobs, parts, strict=True):
        assert list(job.config.t.values()) == part
        assert list(OmegaConf.load(job.folder / "job.yaml").job.t.values()) == part
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {str(job.number) for job in jobs}


@pytest.mark.parametrize(("written", "expected"), INTERPOLATIONS)
def test_dollars_and_braces_that_are_meant_stay(written: str, expected: str) -> None:
    config = config_of(x=7, text=written)
    assert config.text == expected
    assert reread(config).text == expected


def test_the_environment_is_read_by_the_rank_and_all_else_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "parent")
    config = config_of(
        who="${oc.env:WHO}",
        path="/a/${oc.env:WHO,nobody}/${now:%f}",
        number="${oc.decode:${oc.env:LOCAL_RANK,0}}",
        same="${path}",
        whole="${oc.create:{a:1}}",
        node="${nested}",
        nested={"deep": ["${who}", "${now:%f}"]},
        missing="???",
        broken="${nowhere}",
        spaced="${oc.env:NOT_SET,'a b'}",
        nothing="${oc.env:NOT_SET,null}",
        slashed=r"\\${oc.env:WHO}",
    )
    frozen = freeze(config)
    stamp = frozen["path"].rpartition("/")[2]
    assert "parent" not in str(frozen)
    assert stamp.isdigit() and frozen["same"] == frozen["path"] and frozen["nested"]["deep"][1] == stamp
    monkeypatch.setenv("WHO", "rank")
    monkeypatch.setenv("LOCAL_RANK", "3")
    job = reread(config)
    assert (job.who, job.path, job.number) == ("rank", f"/a/rank/{job.same.rpartition('/')[2]}", 3)
    assert (job.whole, job.node.deep[0]) == ({"a": 1}, "rank")
    assert (job.spaced, job.nothing, job.slashed) == ("a b", None, r"\rank")
    assert OmegaConf.is_missing(job, "missing") and OmegaConf.is_interpolation(job, "broken")


@pytest.mark.parametrize("value", ["\ud800", "a\udcffb"])
def test_text_that_is_no_unicode_arrives_or_is_refused(value: str) -> None:
    try:
        assert reread(config_of(text=value)).text == value
    except LauncherError as error:
        assert "cannot be written down" in str(error) or "changes" in str(error)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters, min_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)
NASTY = st.text(st.sampled_from(list("\\'\"${}[],:#&*!|>%@` \n\t\r=-~?a1éß🙂\u2028\x85\x1b")), max_size=20)


@hypothesis_settings(max_examples=80, deadline=None)
@given(plain=PLAIN, nasty=NASTY)
def test_any_value_arrives_as_it_is(plain: object, nasty: str) -> None:
    assume("???" not in (repr(plain) + nasty))  # which means "missing" wherever it stands
    config = config_of(
        value=plain if "${" not in repr(plain) else None, escaped="", nested={"list": [nasty.replace("$", "")]}
    )
    text = nasty.replace("\\", "") + "${x}"
    config.escaped = nasty.replace("\\", "").replace("${", r"\${") + r"\${x}"
    job = reread(config)
    assert OmegaConf.to_container(OmegaConf.create({"v": job.value})) == OmegaConf.to_container(
        OmegaConf.create({"v": config.value})
    )
    assert job.escaped == text
    assert job.nested.list[0] == nasty.replace("$", "")


def test_hostile_sweeps_arrive_in_the_processes_of_the_jobs(tmp_path: Path) -> None:
    texts = ["""a'b"c,d""", "../../x", "$(touch pwned)\n[red]", "null", "日本🙂" + "y" * 300]
    sweep = ",".join(quoted(text) for text in texts)
    done = run(tmp_path, f"text={sweep}", *settings(cpu_processes=4))
    assert done.code == 0, done.out
    assert [done.starts(str(number))[0]["text"] for number in range(len(texts))] == texts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.txt", "runs", "tmp"]
    assert not list(tmp_path.rglob("pwned"))
    assert leftovers(tmp_path) == []


def test_a_folder_named_after_a_hostile_value_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "text='../../out','b'", "hydra.sweep.subdir='${hydra.job.override_dirname}'")
    assert done.code == 1
    assert "leads out of the sweep folder" in done.out
    assert sorted(os.listdir(tmp_path)) == ["out.txt", "runs", "tmp"]
