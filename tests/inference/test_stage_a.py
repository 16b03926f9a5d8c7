from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from qvl.data import Contract
from qvl.errors import QvlError
from qvl.evaluation import read_predictions
from qvl.inference import AnswerFile, Completion, StageA, find_units, tally
from qvl.runtime.distributed import Rank

REPO = Path(__file__).parents[2]
LABELS = {"审核不通过": "fail", "审核通过": "pass"}
CONTRACT = Contract(
    mode="dense", system="s", user="u", image_label="图片", emit_norm="norm1000", order="tlbr",
    min_pixels=1024, max_pixels=4096, side_factor=32,
)  # fmt: skip
SUMMARY = Contract(
    mode="summary", system="", user="u", image_label="图片", emit_norm="norm1000", order="tlbr",
    min_pixels=1024, max_pixels=4096, side_factor=32,
)  # fmt: skip


class FakeEngine:
    """Says how wide and how high the pictures of a turn are, and remembers in which batches it was asked."""

    def __init__(self, mode: str = "dense") -> None:
        self.mode = mode
        self.batches: list[list[list[tuple[int, int]]]] = []

    def answers(self, conversations) -> Iterator[Completion]:
        sizes = [[image.size for image in conversation["images"]] for conversation in conversations]
        self.batches.append(sizes)
        return (self._completion(self._text(turn)) for turn in sizes)

    def _completion(self, text: str) -> Completion:
        return Completion(text, "stop", 7, 3, tuple(range(1, len(text) + 1)), (-0.25,) * len(text))

    def _text(self, turn: list[tuple[int, int]]) -> str:
        said = [
            f"{width}x{height}"
            if self.mode == "summary"
            else {"object_1": {"desc": "x", "line": [0, 0, width, height]}}
            for width, height in turn
        ]
        if len(said) == 1:
            return said[0] if self.mode == "summary" else json.dumps(said[0])
        return json.dumps({f"图片_{slot}": one for slot, one in enumerate(said, 1)}, ensure_ascii=False)


def picture(path: Path, width: int = 64, height: int = 48, *, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (90, 90, 90)).save(path, exif=exif)


def stage(source: Path, *, contract: Contract = CONTRACT, images_per_turn: int = 1, batch_size: int = 2) -> StageA:
    return StageA(
        units=find_units(source, labels=LABELS),
        contract=contract,
        engine=FakeEngine(contract.mode),
        images_per_turn=images_per_turn,
        batch_size=batch_size,
    )


def records(found: StageA, *, start: int = 0) -> list[dict]:
    return [record for batch in found.records(start=start) for record in batch]


def test_a_picture_is_shown_upright_and_its_record_has_everything(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", 64, 48, orientation=6)
    (record,) = records(stage(tmp_path))
    assert record == {
        "source": "a.jpg",
        "image": str(tmp_path / "a.jpg"),
        "width": 48,
        "height": 64,
        "predicted": [
            {"desc": "x", "key": "line", "numbers": (0, 0, 48, 64), "pixels": [0.0, 0.0, 2.3, 4.1], "score": -0.25}
        ],
        "faults": [],
        "completion": '{"object_1": {"desc": "x", "line": [0, 0, 48, 64]}}',
        "finish_reason": "stop",
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "error": None,
    }


def test_pictures_that_cannot_be_shown_are_records_and_all_others_are_answered(tmp_path: Path) -> None:
    for number in range(6):
        picture(tmp_path / f"p{number}.png")
    (tmp_path / "p1.png").write_bytes(b"no picture")
    (tmp_path / "p2.png").write_bytes((tmp_path / "p0.png").read_bytes()[:60])
    (tmp_path / "p3.png").write_bytes(b"")
    picture(tmp_path / "p4.png", 2000, 5)
    found = records(stage(tmp_path))
    assert [record["error"] is None for record in found] == [True, False, False, False, False, True]
    assert all("p1.png" in found[1][key] for key in ("source", "image", "error"))
    assert "200" in found[4]["error"]
    assert found[2]["faults"][0]["code"] == "not_answered"
    assert tally(found) == {"records": 6, "pictures": 6, "errors": 4, "faults": 0, "cut_off": 0}


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    picture(tmp_path / "secret" / "a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").symlink_to(tmp_path / "secret" / "a.png")
    (record,) = records(stage(tmp_path / "photos"))
    assert "outside the allowed folders" in record["error"]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("start", [0, 4])
def test_several_processes_give_the_records_of_one_in_their_order(tmp_path: Path, world, size: int, start: int) -> None:
    for number in range(9):
        picture(tmp_path / "photos" / f"{number}.png", 64 + 8 * number)
    (tmp_path / "photos" / "5.png").write_bytes(b"")
    source = tmp_path / "photos"
    alone = [record for batch in stage(source).records(start=start) for record in batch]
    told = world(size, lambda rank: list(stage(source).records(start=start, rank=rank)))
    assert [[record for batch in batches for record in batch] for batches in told] == [alone] * size
    assert len(alone) == 9 - start


def test_an_engine_that_fails_in_one_process_ends_all(tmp_path: Path, world) -> None:
    for number in range(4):
        picture(tmp_path / "photos" / f"{number}.png")

    class Failing(FakeEngine):
        def answers(self, conversations):
            raise QvlError("the memory of the device is too small")

    def work(rank: Rank) -> object:
        found = stage(tmp_path / "photos")
        found = replace(found, engine=Failing("dense")) if rank.rank else found
        return list(found.records(rank=rank))

    first, second = world(2, work)
    assert str(second) == "the memory of the device is too small"
    assert str(first) == "process 1 of 2 could not go on: QvlError: the memory of the device is too small"


def test_records_with_truth_are_predictions_that_the_gallery_reads(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    row = {"width": 64, "height": 48, "objects": [{"desc": "type=y", "bbox_2d": [0, 0, 32, 48]}]}
    rows = [{**row, "images": ["a.png"]}, {**row, "images": ["gone.png"]}, {**row, "width": 65, "images": ["a.png"]}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    found = stage(tmp_path / "rows.jsonl")
    with AnswerFile(tmp_path / "out.jsonl", job={}, units=found.units) as file:
        for batch in found.records():
            file.append(batch)
    first, gone, other_size = read_predictions(tmp_path / "out.jsonl")
    assert first.truth[0].numbers == (0, 0, 500, 1000)
    assert (len(first.predicted), first.faults) == (1, ())
    assert (gone.predicted, gone.finish_reason, gone.faults[0].code) == ((), "error", "not_answered")
    assert "the row says 65x48, the picture is 64x48" in other_size.faults[0].message


def test_a_group_is_one_record_and_a_bad_picture_costs_no_other(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "3.png"):
        picture(tmp_path / "m/审核通过/g" / name)
    picture(tmp_path / "m/审核不通过/g/1.png", 96)
    (tmp_path / "m/审核通过/g/2.png").write_bytes(b"")
    failed, passed = records(stage(tmp_path, contract=SUMMARY))
    assert (failed["mission"], failed["label"], failed["group_id"], failed["error"]) == ("m", "fail", "g", None)
    assert failed["per_image"] == {"image_1": "96x48"}
    assert passed["images"] == ["1.png", "2.png", "3.png"]
    assert passed["per_image"] == {"image_1": "64x48", "image_3": "64x48"}
    assert passed["error"] == "1 of 3 pictures could not be answered"
    assert [picture["error"] is None for picture in passed["pictures"]] == [True, False, True]


@pytest.mark.parametrize("contract", [CONTRACT, SUMMARY])
def test_several_pictures_of_a_turn_get_their_own_answers(tmp_path: Path, contract: Contract) -> None:
    for number in range(5):
        picture(tmp_path / f"{number}.png", 64 + number)
    (tmp_path / "1.png").write_bytes(b"")
    alone = stage(tmp_path, contract=contract)
    together = stage(tmp_path, contract=contract, images_per_turn=3)
    keys = ("source", "width", "predicted", "faults", "error")
    assert [[one[key] for key in keys] for one in records(alone)] == [
        [one[key] for key in keys] for one in records(together)
    ]
    assert together.engine.batches == [[[(64, 48), (66, 48)], [(67, 48), (68, 48)]]]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize("images_per_turn", [1, 2])
def test_a_second_start_gives_the_missing_records_in_the_batches_of_the_first(
    tmp_path: Path, images_per_turn: int, batch_size: int
) -> None:
    rows = [["0.png"], ["0.png", "1.png", "2.png"], ["3.png"], ["4.png"], ["1.png", "gone.png"]]
    for number in range(5):
        picture(tmp_path / f"{number}.png", 64 + number)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"images": row}) + "\n" for row in rows), encoding="utf-8")
    settings = {"images_per_turn": images_per_turn, "batch_size": batch_size}
    first = stage(tmp_path / "rows.jsonl", **settings)
    whole = records(first)
    assert len(whole) == len(rows)
    for start in range(len(rows) + 1):
        again = stage(tmp_path / "rows.jsonl", **settings)
        assert records(again, start=start) == whole[start:]
        batches = again.engine.batches
        assert batches == first.engine.batches[len(first.engine.batches) - len(batches) :]


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_stage_a import CONTRACT, LABELS, FakeEngine, StageA, AnswerFile, find_units

class Slow(FakeEngine):
    def answers(self, conversations):
        time.sleep(float(sys.argv[3]))
        return super().answers(conversations)

units = find_units(Path(sys.argv[1]), labels=LABELS)
found = StageA(units=units, contract=CONTRACT, engine=Slow(), images_per_turn=1, batch_size=2)
with AnswerFile(Path(sys.argv[2]), job={{}}, units=units) as file:
    for batch in found.records(start=file.done):
        file.append(batch)
"""


def test_a_killed_run_that_is_started_again_leaves_the_same_bytes(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / "photos" / f"{number}.png", 64 + number)
    (tmp_path / "photos" / "7.png").write_bytes(b"")
    (tmp_path / "run.py").write_text(SCRIPT.format(tests=str(Path(__file__).parent)), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(REPO)}

    def command(out: Path, pause: str) -> list[str]:
        return [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "photos"), str(out), pause]

    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    subprocess.run(command(whole, "0"), env=env, check=True)
    child = subprocess.Popen(command(killed, "0.05"), env=env)
    while not (killed.exists() and killed.read_bytes().count(b"\n") >= 6):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert 6 <= killed.read_bytes().count(b"\n") < 20
    with killed.open("ab") as file:
        file.write(whole.read_bytes().splitlines()[6][:25])  # as if the kill had come in the middle of a write
    subprocess.run(command(killed, "0"), env=env, check=True)
    assert killed.read_bytes() == whole.read_bytes()
    sources = [json.loads(line)["source"] for line in killed.read_text(encoding="utf-8").splitlines()]
    assert sources == [f"{number}.png" for number in range(20)]
