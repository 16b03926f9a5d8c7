from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from qvl.conversation import BaseBuilder, ChatBuilder, DenseBuilder
from qvl.data import JsonlDataset, KeepAll, SampleContext, SourcePart, TurnFormat
from qvl.inspection import MENDS, FileReport, LookSettings, Tokens, inspect, is_fatal, write_report
from qvl.inspection.reporting import as_json
from qvl.inspection.rules import ALLOWED, value_at
from qvl.prompts import PromptScheme
from qvl.records import Record

REPO = Path(__file__).parents[2]
FORM = TurnFormat(emit_norm="norm1000", order="tlbr", image_label="图片", min_pixels=4096, max_pixels=65536)
BOX = {"desc": "type=螺丝,state=ok", "bbox_2d": [1, 2, 30, 40]}


def good(number: int, **changes: object) -> dict[str, object]:
    return {"images": [f"{number}.png"], "width": 64, "height": 48, "objects": [BOX]} | changes


def write(folder: Path, rows: list[object], name: str = "rows.jsonl") -> Path:
    for number in range(len(rows)):
        if not (folder / f"{number}.png").exists():
            Image.new("RGB", (64, 48), (90, 120, 90)).save(folder / f"{number}.png")
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def parts_of(path: Path) -> tuple[SourcePart, ...]:
    context = SampleContext(builder=DenseBuilder(prompts=PromptScheme(user="看图")), form=FORM, seed=0)
    return JsonlDataset(path=str(path), context=context, preprocessor=KeepAll()).parts


def look(*paths: Path, processes: int = 1, **options: object) -> list[FileReport]:
    parts = [part for path in paths for part in parts_of(path)]
    out = paths[0].parent / "out"
    out.mkdir(exist_ok=True)
    fixed = options.pop("fixed", None)
    return inspect(
        parts,
        settings=LookSettings(fix=fixed is not None, **options),  # type: ignore[arg-type]
        lengths=None,
        processes=processes,
        folder=out,
        fixed=fixed,  # type: ignore[arg-type]
    )


def told(path: Path) -> list[dict[str, object]]:
    lines = (path.parent / "out" / "findings.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def codes(path: Path) -> list[tuple[object, object]]:
    return [(entry["line"], entry["code"]) for entry in told(path)]


NASTY: list[object] = [
    good(0),
    good(1, objects=[{"desc": "a", "bbox_2d": [30, 2, 1, 40]}]),
    "{",
    good(3, objects=[BOX, BOX]),
    good(4, width=48, height=64),
    good(5, objects=[{"desc": " a", "poly": [0, 0, 9, 0, 9, 9, 0, 0]}]),
    good(0),
    good(7, images=["gone.png"], objects=[{"desc": "", "bbox_2d": [0, 0, 90, 9]}]),
    good(8, width=None),
]


def test_everything_is_found_in_the_order_of_the_rows(tmp_path):
    path = write(tmp_path, NASTY)
    (report,) = look(path)
    assert codes(path) == [
        (2, "bbox_unordered"),
        (3, "bad_json"),
        (4, "twin_objects"),
        (5, "size_mismatch"),
        (6, "outer_blanks"),
        (6, "closing_vertex"),
        (8, "empty_desc"),
        (8, "out_of_bounds"),
        (8, "image_unreadable"),  # the picture is looked at though the objects are at fault
        (9, "bad_size"),
        (7, "image_repeated"),
    ]
    assert (report.statistics.rows.value, report.statistics.usable.value, report.bad) == (9, 4, 5)
    first = told(path)[0]
    assert (first["came"], first["allowed"], first["can_be_mended"]) == ("[30, 2, 1, 40]", "x1 < x2 and y1 < y2", True)
    assert [entry["fatal"] for entry in told(path)] == [1, 1, 0, 1, 0, 0, 1, 1, 1, 1, 0]
    assert is_fatal(report)


def test_any_number_of_processes_gives_the_same_report(tmp_path):
    path = write(tmp_path, [good(number % 7, objects=[BOX] * (number % 4)) for number in range(60)])
    settings = LookSettings()
    found = []
    for processes in (1, 3):
        reports = look(path, processes=processes)
        found.append((as_json(reports, settings=settings, facts={}), told(path), reports[0].suspects.rows))
    assert found[0] == found[1]


def test_a_picture_in_two_files_is_told_with_its_first_place(tmp_path):
    train, val = write(tmp_path, [good(0), good(1)], "train.jsonl"), write(tmp_path, [good(1)], "val.jsonl")
    reports = look(train, val)
    assert codes(train) == [(1, "image_shared")]
    assert f"{train}:2" in str(told(train)[0]["message"])
    assert not any(map(is_fatal, reports))


@pytest.mark.parametrize(("images", "expected"), [("off", []), ("header", []), ("decode", ["image_unreadable"])])
def test_a_damaged_picture_is_found_by_decoding(tmp_path, images, expected):
    path = write(tmp_path, [good(0)])
    data = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(data[:-20])
    look(path, images=images)
    assert [code for _, code in codes(path)] == expected


def test_a_mended_file_keeps_every_row_and_the_good_ones_byte_for_byte(tmp_path):
    odd = json.dumps(good(0)).replace(": ", " :  ") + "\r"
    path = write(tmp_path, [odd, *NASTY[1:]])
    (report,) = look(path, fixed={str(path): tmp_path / "fixed.jsonl"})
    before = path.read_bytes().split(b"\n")
    after = (tmp_path / "fixed.jsonl").read_bytes().split(b"\n")
    assert len(after) == len(before)
    assert [number for number, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]] == [2, 6, 9]
    assert report.changes == {"box_reversed": 1, "blanks_stripped": 1, "ring_closed": 1, "size_filled": 1}
    changes = [json.loads(line) for line in (tmp_path / "out" / "changes.jsonl").read_text().splitlines()]
    assert changes[0] == {
        "file": str(path), "line": 2, "code": "box_reversed", "field": "objects[0].bbox_2d",
        "before": [30, 2, 1, 40], "after": [1, 2, 30, 40],
    }  # fmt: skip
    assert {entry["code"] for entry in told(path) if entry["mended"]} == {
        "bbox_unordered", "outer_blanks", "closing_vertex", "bad_size",
    }  # fmt: skip
    assert report.bad == 3  # bad_json, size_mismatch, empty_desc
    look(tmp_path / "fixed.jsonl")
    assert {code for _, code in codes(path)}.isdisjoint(
        {"bbox_unordered", "outer_blanks", "closing_vertex", "bad_size"}
    )


def test_what_cannot_be_used_may_be_left_out_of_the_mended_file(tmp_path):
    path, fixed = write(tmp_path, NASTY), tmp_path / "fixed.jsonl"
    (tmp_path / "out").mkdir()
    (report,) = inspect(
        parts_of(path),
        settings=LookSettings(fix=True),
        lengths=None,
        processes=2,
        folder=tmp_path / "out",
        fixed={str(path): fixed},
        drop_rest=True,
    )
    assert report.dropped == 3
    assert not is_fatal(report)
    (again,) = look(fixed)
    assert (again.statistics.rows.value, again.statistics.usable.value, is_fatal(again)) == (6, 6, False)


class TenTokens:
    """Counts the same for every row."""

    def of(self, record: Record, builder: BaseBuilder) -> Tokens:
        return Tokens(4, 5, 10)


@pytest.mark.parametrize(("limit", "is_told"), [(9, True), (10, False)])
@pytest.mark.parametrize("fatal", [True, False])
def test_a_row_that_is_too_long_is_fatal_where_training_would_stop(tmp_path, limit, is_told, fatal):
    path = write(tmp_path, [good(0)])
    (tmp_path / "out").mkdir()
    (report,) = inspect(
        parts_of(path),
        settings=LookSettings(max_length=limit, long_is_fatal=fatal),
        lengths=TenTokens(),  # type: ignore[arg-type]
        processes=1,
        folder=tmp_path / "out",
    )
    assert codes(path) == [(1, "over_length")] * is_told
    assert is_fatal(report) == (is_told and fatal)
    assert report.statistics.tokens.above(limit) == is_told  # it is counted, though it cannot be used


def test_rows_of_chat_are_looked_at_too(tmp_path):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    path = write(tmp_path, [{"messages": turns}, {"messages": turns[:1]}])
    context = SampleContext(builder=ChatBuilder(), form=FORM, seed=0)
    data = JsonlDataset(path=str(path), context=context, preprocessor=KeepAll(), images_per_user_turn=1)
    (tmp_path / "out").mkdir()
    (report,) = inspect(data.parts, settings=LookSettings(), lengths=None, processes=1, folder=tmp_path / "out")
    assert codes(path) == [(2, "bad_turns")]
    assert report.statistics.usable.value == 1


def test_the_page_stands_alone_and_takes_no_text_for_markup(tmp_path):
    evil = {"desc": "<script>alert(1)</script>", "bbox_2d": [-30, 2, 90, 40]}
    path = write(tmp_path, [*NASTY, good(9, objects=[evil]), "\x00<b>"])
    reports, settings = look(path), LookSettings()
    write_report(reports, settings=settings, facts={"model": "<i>"}, folder=tmp_path / "out", num_worst=9)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<i>" not in page
    assert "default-src 'none'" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("<article>") == 9  # every row with a finding
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["fatal"] is True
    write_report(reports, settings=settings, facts={}, folder=tmp_path / "out", num_worst=3)
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").count("<article>") == 3


def test_every_code_has_words_for_what_is_allowed():
    found = set()
    for folder in ("records", "data", "inspection", "runtime"):
        for path in sorted((REPO / "qvl" / folder).glob("*.py")):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r'(?:yield|Finding\(|ChecksumFault\()\(?\s*"([a-z]+_[a-z_]+)"', text))
    assert len(found) > 25
    assert found - set(MENDS) <= set(ALLOWED)


@pytest.mark.parametrize(
    ("field", "came"),
    [
        ("", None),
        ("objects[1].poly[0]", "0.5"),
        ("objects[0]", '"图"'),
        ("objects[2]", None),
        ("objects[1].poly", "[0.5, null]"),
        ("width", None),
        ("metadata", "dict"),
    ],
)
def test_the_value_at_a_field_is_found(field, came):
    row = {"objects": ["图", {"poly": [0.5, None]}], "metadata": {}}
    assert value_at(row, field) == came
