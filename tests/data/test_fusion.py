from __future__ import annotations

import json

import pytest
from PIL import Image

from qvl.conversation import ChatBuilder, DenseBuilder, SummaryBuilder
from qvl.data import FusionDataset, RowSource, SampleContext, TurnFormat, check_all, write_mix
from qvl.errors import RecordError
from qvl.prompts import PromptScheme

FORM = TurnFormat("norm1000", "tlbr", "图片", 1024, 10**6)
CHAT = {"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]}


def dense(image: str, *, objects: int = 2) -> dict[str, object]:
    found = [{"desc": f"type=screw,n={number}", "bbox_2d": [number, 2, 30, 12]} for number in range(objects)]
    return {"images": [image], "objects": found, "width": 64, "height": 48}


@pytest.fixture
def folder(tmp_path):
    for number in range(8):
        Image.new("RGB", (64, 48), (9, number, 7)).save(tmp_path / f"{number}.png")
    rows = {
        "dense": [dense(f"{number}.png") for number in range(8)],
        "extra": [dense(f"{number}.png", objects=5) for number in range(4)],
        "summary": [
            {"images": ["0.png"], "width": 64, "height": 48, "summary": f'{{"screws": {n}}}'} for n in range(3)
        ],
        "chat": [CHAT, CHAT],
    }
    for name, lines in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def mix(folder, *, training: bool = True, **sources: dict[str, object]) -> FusionDataset:
    context = SampleContext(DenseBuilder(prompts=PromptScheme(user="list")), FORM, 3, training=training)
    made = {
        name: RowSource(**({"path": str(folder / f"{name}.jsonl"), "images_per_user_turn": 1} | values))
        for name, values in sources.items()
    }
    return FusionDataset(sources=made, context=context)


def whole(folder, **changes):
    summary = SummaryBuilder(prompts=PromptScheme(user="sum up"))
    return mix(
        folder,
        dense={"images_per_user_turn": 2},
        extra={"role": "auxiliary", "ratio": 0.25, "max_objects": 3},
        summary={"ratio": 2.0, "builder": summary},
        chat={"role": "auxiliary", "ratio": 0.1, "builder": ChatBuilder()},
        **changes,
    )


def test_each_source_gives_its_share_in_its_own_way(folder):
    turns = whole(folder)
    check_all([turns], images="decode", report=folder / "findings.txt")
    seen = [turns[turn] for turn in range(len(turns))]
    counts = {name: [turn for turn in seen if turn.source == name] for name in ("dense", "extra", "summary", "chat")}
    assert {name: len(found) for name, found in counts.items()} == {"dense": 4, "extra": 4, "summary": 6, "chat": 1}
    assert all(len(turn.records) == 2 and turn.mode == "dense" for turn in counts["dense"])
    assert all(len(turn.records[0].objects) == 3 for turn in counts["extra"])
    assert {turn.answer for turn in counts["summary"]} == {f'{{"screws": {n}}}' for n in range(3)}
    assert counts["summary"][0].inputs["messages"][0]["content"][-1]["text"] == "sum up"
    assert counts["chat"][0].inputs["messages"] == CHAT["messages"]
    assert counts["chat"][0].pictures == ()


def test_a_cap_keeps_the_order_and_changes_with_the_epoch(folder):
    turns = whole(folder)
    kept = []
    for epoch in range(4):
        turns.set_epoch(epoch)
        found = [turns[turn] for turn in range(len(turns))]
        first = next(turn for turn in found if turn.source == "extra" and turn.records[0].source.line == 1)
        kept.append([item.desc for item in first.records[0].objects])
    assert all(names == sorted(names) for names in kept)
    assert len({tuple(names) for names in kept}) > 1


def test_evaluation_uses_targets_only_whole_and_without_caps(folder):
    turns = whole(folder, training=False)
    assert [part.name for part in turns.parts] == ["dense", "summary"]
    assert turns.turns_of_parts() == [4, 3]


def test_a_source_with_ratio_0_is_not_opened(folder):
    turns = mix(folder, dense={}, gone={"ratio": 0.0})
    assert [part.name for part in turns.parts] == ["dense"]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"extra": {"role": "auxiliary"}}, "rows of a target"),
        ({"dense": {"ratio": -1.0}}, "rows of a target|ratio"),
        ({"chat": {"builder": ChatBuilder(), "images_per_user_turn": 2}}, "stand alone"),
        ({"dense": {"max_objects": 0}}, "max_objects must be at least 1"),
    ],
)
def test_a_mix_that_cannot_work_says_why(folder, sources, message):
    with pytest.raises((RecordError, ValueError), match=message):
        len(mix(folder, **sources))


def test_rows_are_checked_for_what_they_are_used_for(folder):
    (folder / "chat.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": "hm <|im_end|>"}]}) + "\n")
    (folder / "summary.jsonl").write_text(json.dumps(dense("0.png")) + "\n")
    with pytest.raises(RecordError) as error:
        check_all([whole(folder)], images="decode", report=folder / "findings.txt")
    text = str(error.value)
    assert "chat.jsonl:1: messages[0].content" in text
    assert "chat.jsonl:1: messages" in text
    assert "summary.jsonl:1: summary" in text


def test_the_mix_on_disk_is_the_mix_of_training(folder):
    turns = whole(folder)
    counts = write_mix(turns, folder / "mix.jsonl", epoch=2)
    rows = [json.loads(line) for line in (folder / "mix.jsonl").read_text().splitlines()]
    turns.set_epoch(2)
    online = [
        (turn.source, record.source.line)
        for turn in (turns[number] for number in range(len(turns)))
        for record in turn.records
    ]
    assert [(row["metadata"]["mix"]["source"], row["metadata"]["mix"]["line"]) for row in rows] == online
    assert counts == {"dense": 8, "extra": 4, "summary": 6, "chat": 1}
    assert all(image.startswith(str(folder)) for row in rows for image in row.get("images", []))
