from __future__ import annotations

import json
from pathlib import Path

import pytest

from qvl.errors import ConfigError
from qvl.inference import AnswerFile, Unit, job_path

JOB = {"model": "m", "contract": {"mode": "dense"}}
UNITS = [Unit(source=f"{number}.png", pictures=("x",), roots=()) for number in range(4)]


def record(number: int) -> dict[str, object]:
    return {"source": f"{number}.png", "completion": "中文 \udc80"}


def write(path: Path, *numbers: int, **settings) -> int:
    with AnswerFile(path, job=JOB, units=UNITS, **settings) as file:
        before = file.done
        file.append(record(number) for number in numbers)
    return before


def test_records_are_lines_and_a_second_start_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert write(path, 0, 1) == 0
    assert write(path, 2) == 2
    assert [json.loads(line)["source"] for line in path.read_text(encoding="utf-8").splitlines()] == [
        "0.png", "1.png", "2.png",
    ]  # fmt: skip
    assert json.loads(job_path(path).read_text(encoding="utf-8")) == JOB


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_line_that_was_cut_off_anywhere_is_taken_away(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "out.jsonl"
    write(path, 0, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert write(path, 1) == 1
    assert path.read_bytes() == whole


def test_answers_to_something_else_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(path, 0)
    before = path.read_bytes()
    other = {"model": "m", "contract": {"mode": "summary"}}
    with pytest.raises(ConfigError, match=r"contract\.mode was 'dense' and is 'summary'"):
        AnswerFile(path, job=other, units=UNITS)
    with pytest.raises(ConfigError, match=r"out\.jsonl:1: expected the record of '1\.png', got '0\.png'"):
        AnswerFile(path, job=JOB, units=UNITS[1:])
    assert path.read_bytes() == before
    assert write(path, 0, overwrite=True) == 0


def test_a_file_of_someone_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"images": []}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="is there already"):
        write(path, 0)
    assert path.read_text(encoding="utf-8") == '{"images": []}\n'


def test_two_processes_do_not_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with AnswerFile(path, job=JOB, units=UNITS), pytest.raises(ConfigError, match="another process"):
        AnswerFile(path, job=JOB, units=UNITS)
    assert write(path, 0) == 0
