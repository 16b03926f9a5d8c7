from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qvl.augmentation import Compose, ExpandToFit, HorizontalFlip, RoiCrop, Rotate
from qvl.conversation import BaseBuilder, DenseBuilder, SummaryBuilder
from qvl.data import BasePreprocessor, DemoScenes, JsonlDataset, KeepAll, SampleContext, Ticket, TurnFormat, check_all
from qvl.errors import RecordError
from qvl.prompts import PromptScheme

BOX = {"desc": "type=screw", "bbox_2d": [1, 2, 11, 12]}


def write_rows(folder: Path, rows: list[object], *, name: str = "train") -> str:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


def picture(folder: Path, name: str = "a.png", size: tuple[int, int] = (64, 48)) -> str:
    Image.new("RGB", size, (9, 8, 7)).save(folder / name)
    return name


def row(image: str, **changes: object) -> dict[str, object]:
    return {"images": [image], "objects": [BOX], "width": 64, "height": 48} | changes


def dataset(
    path: str,
    *,
    roots: Sequence[str] = (),
    builder: BaseBuilder | None = None,
    augmentation: Compose | None = None,
    **changes: object,
) -> JsonlDataset:
    builder = builder or DenseBuilder(prompts=PromptScheme(user="list"), emit_norm="norm1000", order="tlbr")
    form = TurnFormat("norm1000", "tlbr", "图片", 1024, 10**6)
    context = SampleContext(builder, form, 3, augmentation, allowed_roots=tuple(roots))
    values = {"path": path, "preprocessor": KeepAll(), "context": context, "images_per_user_turn": 2} | changes
    return JsonlDataset(**values)  # type: ignore[arg-type]


@pytest.fixture
def ten(tmp_path):
    names = [picture(tmp_path, f"{number}.png") for number in range(10)]
    return dataset(write_rows(tmp_path, [row(name) for name in names]))


def digest(turns: JsonlDataset) -> str:
    texts = [f"{[r.images for r in turn.records]} {turn.answer}" for turn in (turns[i] for i in range(len(turns)))]
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def test_every_record_is_seen_once_an_epoch_in_an_order_of_its_own(ten):
    orders = []
    for epoch in (0, 1):
        ten.set_epoch(epoch)
        orders.append([record.source.line for index in range(len(ten)) for record in ten[index].records])
    assert [sorted(order) for order in orders] == [list(range(1, 11))] * 2
    assert orders[0] != orders[1]


def test_a_turn_of_two_is_grouped_and_carries_the_pixel_contract(ten):
    turn = ten[0]
    answer = json.loads(turn.answer)
    assert list(answer) == ["图片_1", "图片_2"]
    assert turn.inputs["objects"]["image_id"] == [0, 1]
    assert turn.inputs["objects"]["bbox"] == [[1.0, 2.0, 11.0, 12.0]] * 2
    assert all(isinstance(image, Image.Image) for image in turn.inputs["images"])


def test_one_record_a_turn_is_not_grouped(tmp_path):
    turns = dataset(write_rows(tmp_path, [row(picture(tmp_path))]), images_per_user_turn=1)
    assert list(json.loads(turns[0].answer)) == ["object_1"]


def test_the_last_turn_may_be_short_and_is_then_not_grouped(tmp_path):
    turns = dataset(write_rows(tmp_path, [row(picture(tmp_path))] * 3))
    assert [len(turns[index].records) for index in range(len(turns))] == [2, 1]


def read_tickets(turns: JsonlDataset, tickets: list[Ticket], out: object) -> None:
    out.put([turns[ticket].answer + str(turns[ticket].records[0].images) for ticket in tickets])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_that_is_alive_already_makes_turns_of_any_epoch(ten, method):
    context = multiprocessing.get_context(method)
    out = context.Queue()
    tickets = [ten.plan(epoch).ticket(turn) for epoch in (0, 4) for turn in range(len(ten))]
    worker = context.Process(target=read_tickets, args=(ten, tickets, out))
    worker.start()
    seen = out.get(timeout=60)
    worker.join()
    assert seen == [ten[ticket].answer + str(ten[ticket].records[0].images) for ticket in tickets]


class DropSecond(BasePreprocessor):
    def preprocess(self, row):
        return None if row["images"] == ["1.png"] else row


def test_what_a_preprocessor_removes_is_left_out_with_its_line_and_reason(tmp_path):
    names = [picture(tmp_path, f"{number}.png") for number in range(3)]
    turns = dataset(write_rows(tmp_path, [row(name) for name in names]), preprocessor=DropSecond())
    check_all([turns], images="decode", report=tmp_path / "findings.txt")
    assert len(turns.parts[0].rows) == 2
    assert [(left.source.line, left.reason) for left in turns.parts[0].rows.left_out] == [(2, "removed by DropSecond")]


def test_an_upright_picture_is_what_the_model_sees(tmp_path):
    image = Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "turned.png", exif=exif)
    turns = dataset(write_rows(tmp_path, [row("turned.png", width=48, height=64)]), images_per_user_turn=1)
    check_all([turns], images="decode", report=tmp_path / "findings.txt")
    assert turns[0].pictures[0].size == (48, 64)


BAD = {
    "missing image": ("images", row("gone.png")),
    "unreadable image": ("images", row("broken.png")),
    "truncated image": ("images", row("cut.jpg")),
    "wrong size": ("width", row("a.png", width=65)),
    "no objects": ("objects", row("a.png", objects=[])),
    "two geometries": ("objects[0]", row("a.png", objects=[BOX | {"line": [1, 1, 2, 2]}])),
    "odd list": ("objects[0].poly", row("a.png", objects=[{"desc": "x", "poly": [1, 2, 3, 4, 5, 6, 7]}])),
    "special token": ("objects[0].desc", row("a.png", objects=[BOX | {"desc": "a <|im_end|>"}])),
    "image tag": ("objects[0].desc", row("a.png", objects=[BOX | {"desc": "<image>"}])),
    "outside": ("images", row("../outside.png")),
    "no json": ("", "{"),
    "nan": (
        "",
        '{"images": ["a.png"], "objects": [{"desc": "x", "bbox_2d": [NaN, 1, 2, 3]}], "width": 64, "height": 48}',
    ),
}


@pytest.fixture
def bad_folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    picture(folder)
    picture(tmp_path, "outside.png")
    (folder / "broken.png").write_bytes(b"no picture")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:-600])
    return folder


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_an_error_with_file_line_and_field(bad_folder, name):
    field, bad = BAD[name]
    path = write_rows(bad_folder, [row("a.png"), bad])
    with pytest.raises(RecordError) as error:
        check_all([dataset(path)], images="decode", report=bad_folder / "findings.txt")
    assert f"{path}:2" in str(error.value)
    assert field in str(error.value)


def test_all_findings_of_all_files_are_told_at_once(bad_folder):
    rows = [bad for _, bad in BAD.values()]
    first, second = (dataset(write_rows(bad_folder, rows, name=name)) for name in ("train", "val"))
    with pytest.raises(RecordError):
        check_all([first, second], images="decode", report=bad_folder / "findings.txt")
    listed = (bad_folder / "findings.txt").read_text()
    for path in (first.parts[0].rows.path, second.parts[0].rows.path):
        assert all(f"{path}:{line}" in listed for line in range(1, len(rows) + 1))


def test_a_folder_that_is_allowed_may_hold_pictures(bad_folder):
    path = write_rows(bad_folder, [row("../outside.png")])
    turns = dataset(path, roots=[str(bad_folder.parent)])
    check_all([turns], images="decode", report=bad_folder / "findings.txt")
    assert len(turns.parts[0].rows) == 1


def test_an_empty_file_and_a_missing_file_are_errors(tmp_path):
    with pytest.raises(RecordError, match="no row"):
        check_all([dataset(write_rows(tmp_path, []))], images="decode", report=tmp_path / "findings.txt")
    with pytest.raises(RecordError, match="no such file"):
        dataset(str(tmp_path / "gone.jsonl"))


def test_an_augmented_picture_has_the_size_that_the_model_sees_and_its_record_says_so(ten):
    augmentation = Compose(transforms={"turn": Rotate(p=1.0, max_degrees=20), "fit": ExpandToFit(p=1.0, multiple=32)})
    turns = dataset(ten.parts[0].rows.path, augmentation=augmentation)
    seen = [(picture, record) for turn in (turns[0], turns[1]) for picture, record in pairs(turn)]
    assert all(picture.size == (record.width, record.height) for picture, record in seen)
    assert all(turns.context.form.model_size(*picture.size) == picture.size for picture, _ in seen)
    assert {type(item.shape).__name__ for _, record in seen for item in record.objects} == {"Polygon"}
    assert ten[0].pictures[0].size == (64, 48)  # not augmented: the processor resizes, as in serving


def pairs(turn):
    return zip(turn.pictures, turn.records, strict=True)


def test_a_ticket_that_is_not_to_be_augmented_is_left_as_it_is(ten):
    turns = dataset(ten.parts[0].rows.path, augmentation=Compose(transforms={"flip": HorizontalFlip(p=1.0)}))
    ticket = turns.plan(0).ticket(0)
    flipped, plain = turns[ticket], turns[ticket._replace(augment=False)]
    assert flipped.pictures[0].size == (64, 64)  # what the model sees of 64 x 48
    assert flipped.records[0].objects[0].shape.flat() == pytest.approx((53, 2 * 64 / 48, 63, 12 * 64 / 48))
    assert plain.records[0].objects[0].shape.flat() == (1, 2, 11, 12)


def test_a_crop_is_refused_for_summaries(ten):
    builder = SummaryBuilder(prompts=PromptScheme(user="sum up"))
    augmentation = Compose(transforms={"crop": RoiCrop(anchors={"type": ["screw"]})})
    with pytest.raises(ValueError, match="crop: may take objects out of sight"):
        dataset(ten.parts[0].rows.path, augmentation=augmentation, builder=builder)


def test_a_flipped_byte_is_found_where_there_are_checksums(tmp_path):
    scenes = DemoScenes(root=str(tmp_path / "scenes"), style="field", seed=1, splits={"train": 2}).prepare()
    turns = dataset(str(scenes / "train.jsonl"))
    check_all([turns], images="decode", report=tmp_path / "findings.txt")
    picture_file = scenes / "images" / "train_000001.jpg"
    content = bytearray(picture_file.read_bytes())
    content[len(content) // 2] ^= 4
    picture_file.write_bytes(bytes(content))
    with pytest.raises(RecordError, match=r"SHA256SUMS:\d: images/train_000001.jpg: .*checksum_mismatch|train_000001"):
        check_all([turns], images="decode", report=tmp_path / "findings.txt")
