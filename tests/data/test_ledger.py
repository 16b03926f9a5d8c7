"""The ledger of dropped rows keeps what was written, once each, for one owner."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import qvl
from qvl.data.ledger import Ledger, LedgerEntry, read_ledger
from qvl.errors import RecordError


def test_rows_are_recorded_once_and_counted_by_reason(tmp_path: Path) -> None:
    with Ledger(tmp_path / "run" / "ledger.jsonl") as ledger:
        assert ledger.record("a.jsonl", 3, "too_long")
        assert not ledger.record("a.jsonl", 3, "too_long")
        assert ledger.record("a.jsonl", 3, "preprocessor")
        assert ledger.record("a.jsonl", 4, "too_long")
        assert ledger.record("数据.jsonl", 4, "too_long")
        assert len(ledger) == 4
        assert list(ledger.counts().items()) == [("too_long", 3), ("preprocessor", 1)]
    lines = (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"file": "a.jsonl", "line": 3, "reason": "too_long", "rows": 1}
    assert len(lines) == 4


def test_many_rows_for_one_reason_are_one_line_and_count_all(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.record("a.jsonl", 10, "limit=9", rows=1_000_000)
        ledger.record("a.jsonl", 3, "too_long")
        assert ledger.counts() == {"limit=9": 1_000_000, "too_long": 1}
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 2


def test_an_existing_ledger_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.record("a.jsonl", 1, "too_long")
    with Ledger(path) as ledger:
        assert not ledger.record("a.jsonl", 1, "too_long")
        assert ledger.record("a.jsonl", 2, "too_long")
    assert read_ledger(path) == (LedgerEntry("a.jsonl", 1, "too_long"), LedgerEntry("a.jsonl", 2, "too_long"))


@pytest.mark.parametrize("num_bytes", range(1, 50))
def test_a_line_cut_off_by_a_kill_costs_that_line_only(tmp_path: Path, num_bytes: int) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.record("a.jsonl", 1, "too_long")
        ledger.record("a.jsonl", 2, "too_long")
    path.write_bytes(path.read_bytes()[:-num_bytes])
    assert read_ledger(path) == (LedgerEntry("a.jsonl", 1, "too_long"),)
    with Ledger(path) as ledger:
        assert ledger.counts() == {"too_long": 1}
        assert ledger.record("a.jsonl", 2, "too_long")
    assert len(read_ledger(path)) == 2


def test_a_killed_owner_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    script = (
        "import sys; from pathlib import Path; from qvl.data.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for line in range(1, 10**9):\n"
        "    ledger.record('a.jsonl', line, 'x' * 500)\n"
        "    if line == 50: print(flush=True)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(qvl.__file__).parents[1])}
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RecordError, match="another process"):
            Ledger(path)
        process.send_signal(signal.SIGKILL)
    lines = [entry.line for entry in read_ledger(path)]
    assert len(lines) >= 50
    assert lines == list(range(1, len(lines) + 1))
    with Ledger(path) as ledger:
        assert len(ledger) == len(lines)


def test_a_second_ledger_on_the_same_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path), pytest.raises(RecordError, match="another process or ledger"):
        Ledger(path)
    with Ledger(path) as again:
        assert len(again) == 0


def write_from_a_worker(ledger: Ledger) -> None:
    try:
        ledger.record("a.jsonl", 1, "too_long")
    except RuntimeError:
        os._exit(7)


def test_a_worker_process_may_not_write(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        worker = multiprocessing.get_context("fork").Process(target=write_from_a_worker, args=(ledger,))
        worker.start()
        worker.join()
        assert worker.exitcode == 7
        assert len(ledger) == 0


@pytest.mark.parametrize(
    "line", ["[]", "{", '{"file": "a", "line": "1", "reason": "x"}', '{"file": "a", "line": 0, "reason": "x"}', ""]
)
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"file": "a.jsonl", "line": 1, "reason": "x", "rows": 1}\n' + line + "\n")
    with pytest.raises(RecordError, match=r"ledger\.jsonl:2: not an entry"):
        read_ledger(path)
    for _ in range(2):  # a refused file is let go
        with pytest.raises(RecordError, match=r"ledger\.jsonl:2: not an entry"):
            Ledger(path)


@pytest.mark.parametrize(("file", "line", "reason"), [("", 1, "x"), ("a", 0, "x"), ("a", 1, "")])
def test_an_entry_that_leads_nowhere_is_refused(tmp_path: Path, file: str, line: int, reason: str) -> None:
    with Ledger(tmp_path / "ledger.jsonl") as ledger, pytest.raises(ValueError, match="ledger entry"):
        ledger.record(file, line, reason)


def test_a_line_that_does_not_fit_the_disk_is_an_error_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Ledger(path) as ledger:
        ledger.record("a.jsonl", 1, "x")
        for room in (0, 10):
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, hard))
            try:
                with pytest.raises(OSError, match=r"disk full|File too large"):
                    ledger.record("a.jsonl", 2, "x")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(ledger) == 1
        assert ledger.record("a.jsonl", 2, "x")
    assert [entry.line for entry in read_ledger(path)] == [1, 2]


def test_a_missing_ledger_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot read the ledger"):
        read_ledger(tmp_path / "gone.jsonl")
