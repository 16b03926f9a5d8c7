from __future__ import annotations

import json

import pytest

from qvl.conversation import IRRELEVANT, SummaryBuilder, SummaryWriter
from qvl.data import AddSummary, DemoScenes, FusionDataset, KeepAll, RowSource, SampleContext, TurnFormat, check_all
from qvl.data.rows import CheckedRows
from qvl.errors import RecordError
from qvl.prompts import PromptScheme

OBJECTS = [{"desc": "type=cable,color=red", "line": [1, 2, 3, 4]}, {"desc": "type=screw", "bbox_2d": [0, 0, 2, 2]}]
WRITTEN = '{"统计": [{"类别": "cable", "color": {"red": 1}}, {"类别": "screw"}]}'
ROW = {"images": ["a.jpg"], "width": 8, "height": 8}


@pytest.mark.parametrize(
    ("settings", "row", "summary"),
    [
        ({}, {"objects": OBJECTS}, WRITTEN),
        ({}, {"objects": OBJECTS, "summary": None}, WRITTEN),
        ({}, {"objects": OBJECTS, "summary": "as it is"}, "as it is"),
        ({"replace": True}, {"objects": OBJECTS, "summary": "as it is"}, WRITTEN),
        ({"replace": True}, {"summary": IRRELEVANT}, IRRELEVANT),  # there is nothing to write it from
        ({"empty": IRRELEVANT}, {"objects": []}, IRRELEVANT),
        ({"empty": IRRELEVANT}, {}, IRRELEVANT),
        ({}, {"objects": []}, None),
        ({}, {"objects": [{"bbox_2d": [0, 0, 1, 1]}]}, None),
        ({}, {"objects": [{"desc": 3}]}, None),
        ({"empty": IRRELEVANT}, {"objects": "none"}, None),
        ({"writer": SummaryWriter(statistics_word="s")}, {"objects": OBJECTS[1:]}, '{"s": [{"类别": "screw"}]}'),
    ],
)
def test_a_missing_summary_is_written_from_the_objects(settings, row, summary):
    row = ROW | row
    before = json.dumps(row)
    assert AddSummary(**settings).preprocess(row).get("summary") == summary
    assert json.dumps(row) == before


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = tmp_path_factory.mktemp("summaries") / "demo"
    scenes = DemoScenes(root=str(root), style="cabinet", seed=5, splits={"train": 4}, irrelevant={"train": 3, "val": 2})
    return scenes.prepare()


def mix(folder):
    builder = SummaryBuilder(prompts=PromptScheme(user="sum up"))
    common = {"builder": builder, "images_per_user_turn": 1}
    sources = {
        "pictures": RowSource(path=str(folder / "train.jsonl"), preprocessor=AddSummary(), **common),
        "irrelevant": RowSource(path=str(folder / "train_irrelevant.jsonl"), **common),
    }
    return FusionDataset(
        sources=sources, context=SampleContext(builder, TurnFormat("norm1000", "tlbr", "图片", 1024, 10**6), 3)
    )


def test_scenes_are_summed_up_and_other_pictures_have_the_literal_answer(demo, tmp_path):
    turns = mix(demo)
    check_all([turns], images="decode", report=tmp_path / "findings.txt")
    seen = [turns[number] for number in range(len(turns))]
    answers = {name: [turn.answer for turn in seen if turn.source == name] for name in ("pictures", "irrelevant")}
    assert answers["irrelevant"] == [IRRELEVANT] * 3
    categories = [[entry["类别"] for entry in json.loads(answer)["统计"]] for answer in answers["pictures"]]
    assert len(categories) == 4
    assert all("cable" in names and set(names) <= {"cable", "device", "label", "psu", "screw"} for names in categories)


def test_a_row_that_cannot_be_summed_up_is_refused_with_its_place(demo, tmp_path):
    path = demo / "bad.jsonl"
    row = json.loads((demo / "train.jsonl").read_text().splitlines()[0])
    path.write_text(json.dumps(row | {"objects": []}) + "\n")
    builder = SummaryBuilder(prompts=PromptScheme(user="sum up"))
    source = RowSource(path=str(path), preprocessor=AddSummary(), builder=builder)
    context = SampleContext(builder, TurnFormat("norm1000", "tlbr", "图片", 1024, 10**6), 3)
    with pytest.raises(RecordError, match=r"bad\.jsonl:1: summary: .*\[missing_summary\]"):
        check_all(
            [FusionDataset(sources={"bad": source}, context=context)], images="off", report=tmp_path / "findings.txt"
        )


def test_irrelevant_pictures_hold_the_contract_and_are_the_same_for_a_seed(demo, tmp_path):
    rows = CheckedRows(str(demo / "train_irrelevant.jsonl"), preprocessor=KeepAll(), mode="summary")
    assert rows.check() == []
    assert [len(rows), rows[0].objects, rows[0].summary] == [3, (), IRRELEVANT]
    again = DemoScenes(
        root=str(tmp_path / "again"), style="cabinet", seed=5, splits={"train": 1}, irrelevant={"train": 1}
    ).prepare()
    name = "images/train_irrelevant_000000.jpg"
    assert (again / name).read_bytes() == (demo / name).read_bytes()


def test_the_pool_is_part_of_what_was_asked_for(tmp_path):
    asked = {"root": str(tmp_path / "demo"), "style": "field", "seed": 7, "splits": {"train": 1}}
    folder = DemoScenes(**asked).prepare()
    assert "irrelevant" not in json.loads((folder / "manifest.json").read_text())
    DemoScenes(**asked, irrelevant={"train": 2}).prepare()
    assert len((folder / "train_irrelevant.jsonl").read_text().splitlines()) == 2
    with pytest.raises(ValueError, match="at least one picture"):
        DemoScenes(**asked, irrelevant={"train": 0})
