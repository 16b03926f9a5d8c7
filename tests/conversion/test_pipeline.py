"""From a source to the folder of a data set."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qvl.conversation import SummaryWriter
from qvl.conversion import (
    Annotated,
    Annotation,
    BaseSource,
    CocoSource,
    ConversionSettings,
    DescriptionTemplate,
    ObjectSettings,
    Refused,
    RowSettings,
    ShapeSettings,
    SplitSettings,
    convert,
)
from qvl.conversion.pipeline import Converted
from qvl.errors import ConfigError, RecordError
from qvl.records import Source, validate_row
from qvl.runtime import image_size

ORIENTATION_TAG = 0x0112
WIDTH, HEIGHT = 80, 60


class Listed(BaseSource):
    """Yields what it is given."""

    def __init__(self, folder: Path, entries: Sequence[Annotated | Refused]) -> None:
        super().__init__(path=str(folder))
        self.entries = entries

    def read(self) -> Iterator[Annotated | Refused]:
        yield from self.entries


def cup(*numbers: float, kind: Any = "bbox_2d", label: str = "cup", **fields: Any) -> Annotation:
    return Annotation(label, kind, (numbers or (1, 1, 9, 9),), "here", **fields)


def seen(image: str, *objects: Annotation, **fields: Any) -> Annotated:
    return Annotated(image, image, objects, **{"width": WIDTH, "height": HEIGHT, **fields})


def paint(path: Path, seed: int, **save: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(path, **save)


def wanted(
    *,
    objects: ObjectSettings | None = None,
    rows: dict[str, Any] | None = None,
    **fields: Any,
) -> ConversionSettings:
    template = DescriptionTemplate("{category}")
    return ConversionSettings(
        rows=RowSettings(objects=objects or ObjectSettings(template=template), **rows or {}), **fields
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def converted(root: Path, *entries: Annotated | Refused, settings: ConversionSettings | None = None) -> Converted:
    return convert(Listed(root / "in", entries), root / "out", settings or wanted())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.jpg", "b.jpg", "sub/猫 c.png")):
        paint(tmp_path / "in" / name, number)
    return tmp_path


def test_rows_pictures_and_counts_are_written(root: Path) -> None:
    result = converted(root, seen("a.jpg", cup()), seen("sub/猫 c.png", cup(), cup(1, 1, 2, 2), metadata={"id": 7}))
    out = root / "out"
    first, second = lines(out / "train.jsonl")
    assert first["objects"] == [{"desc": "cup", "bbox_2d": [1, 1, 9, 9]}]
    assert second["images"] == ["images/sub/猫 c.png"]
    assert second["metadata"] == {"source": "listed", "where": "sub/猫 c.png", "id": 7}
    assert (out / "images/sub/猫 c.png").read_bytes() == (root / "in/sub/猫 c.png").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == [
        "images", "labels.json", "rejected.jsonl", "report.json", "train.jsonl", "train_tiny.jsonl",
    ]  # fmt: skip
    assert [path.name for path in root.iterdir()] in (["in", "out"], ["out", "in"])  # nothing is left over
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["rows"] == {"in": 2, "out": 2, "refused": 0}
    assert result.report.objects_out == 3
    assert all(validate_row(row, source=Source("", 1)) == [] for row in (first, second))


def test_what_is_refused_is_listed_with_its_reason_and_the_rest_is_written(root: Path) -> None:
    (root / "in/broken.jpg").write_bytes(b"no picture")
    result = converted(
        root,
        seen("a.jpg", cup(), cup(5, 5, 5, 9), refused=(Refused("x", "brush", "a brush"),)),
        seen("gone.jpg", cup()),
        seen("broken.jpg", cup()),
        seen("b.jpg"),
        seen("b.jpg", cup(label="<image>"), cup(label="ok")),
        seen("b.jpg", cup(label=" ")),
        seen("b.jpg", cup(), width=WIDTH + 9),
        Refused("list.xml", "bad_xml", "not XML"),
        Refused("x", "unknown_image", "no picture", kind="object"),
    )
    report = result.report
    assert report.rows_refused == {
        "no_picture": 1, "image_unreadable": 1, "no_objects": 2, "size_mismatch": 1, "bad_xml": 1,
    }  # fmt: skip
    assert report.objects_refused == {
        "brush": 1, "degenerate": 1, "row_refused": 3, "special_token": 1, "empty_desc": 1, "unknown_image": 1,
    }  # fmt: skip
    assert (report.rows_in, report.rows_out, report.objects_in, report.objects_out) == (8, 2, 10, 2)
    rejected = lines(root / "out/rejected.jsonl")
    assert [(each["kind"], each["code"]) for each in rejected] == [
        ("object", "brush"),
        ("object", "degenerate"),
        ("row", "no_picture"),
        ("row", "image_unreadable"),
        ("row", "no_objects"),
        ("object", "special_token"),
        ("row", "no_objects"),
        ("object", "empty_desc"),
        ("row", "size_mismatch"),
        ("row", "bad_xml"),
        ("object", "unknown_image"),
    ]
    assert rejected[1]["came"] == {"label": "cup", "bbox_2d": [[5, 5, 5, 9]]}
    assert not (root / "out/images/broken.jpg").exists()


def test_a_row_with_a_bad_object_is_refused_on_request(root: Path) -> None:
    entries = (seen("a.jpg", cup(), cup(5, 5, 5, 9)), seen("b.jpg", cup()))
    report = converted(root, *entries, settings=wanted(rows={"bad_objects": "refuse"})).report
    assert report.rows_refused == {"bad_objects": 1}
    assert report.objects_refused == {"degenerate": 1, "row_refused": 1}


def test_labels_are_mapped_or_dropped_and_unused_words_are_told(root: Path) -> None:
    objects = ObjectSettings(
        template=DescriptionTemplate("type={category}"), labels={"cup": "杯子", "cat": "x"}, drop=frozenset({"tree"})
    )
    entry = seen("a.jpg", cup(), cup(label="tree"), cup(label="dog", crowd=True))
    report = converted(root, entry, settings=wanted(objects=objects)).report
    assert report.objects_dropped == {"label": 1, "crowd": 1}
    assert report.unused == ["cat"]
    (row,) = lines(root / "out/train.jsonl")
    assert [item["desc"] for item in row["objects"]] == ["type=杯子"]
    labels = json.loads((root / "out/labels.json").read_text(encoding="utf-8"))
    assert labels["cup"] == {"written": "杯子", "out": 1, "dropped": 0}
    assert labels["tree"]["dropped"] == 1


def test_pieces_that_are_split_add_up(root: Path) -> None:
    objects = ObjectSettings(template=DescriptionTemplate("{category}"), shapes=ShapeSettings(multi_part="split"))
    two = Annotation("cup", "bbox_2d", ((1, 1, 9, 9), (20, 20, 30, 30)), "here")
    report = converted(root, seen("a.jpg", two), settings=wanted(objects=objects)).report
    assert (report.objects_in, report.objects_added, report.objects_out) == (1, 1, 2)


def test_a_picture_without_objects_is_a_row_if_it_has_a_summary(root: Path) -> None:
    writer = SummaryWriter()
    converted(root, seen("a.jpg", summary="nothing"), seen("b.jpg", cup()), settings=wanted(rows={"summary": writer}))
    empty, counted = lines(root / "out/train.jsonl")
    assert (empty["objects"], empty["summary"]) == ([], "nothing")
    assert counted["summary"] == writer.write(["cup"])


def test_a_picture_stored_on_its_side_gets_upright_shapes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    paint(tmp_path / "in/a.jpg", 1, exif=exif)
    report = converted(tmp_path, seen("a.jpg", cup(10, 20, 30, 50))).report
    (row,) = lines(tmp_path / "out/train.jsonl")
    assert (row["width"], row["height"]) == (HEIGHT, WIDTH) == image_size(tmp_path / "out/images/a.jpg")
    assert row["objects"][0]["bbox_2d"] == [HEIGHT - 50, 10, HEIGHT - 20, 30]
    assert report.repairs == {"exif_rotated": 1}


def test_resizing_scales_the_shapes_with_the_picture(root: Path) -> None:
    small = wanted(max_pixels=32 * 64, min_pixels=1)
    converted(root, seen("a.jpg", cup(0, 0, WIDTH, HEIGHT)), settings=small)
    (row,) = lines(root / "out/train.jsonl")
    size = (row["width"], row["height"])
    assert size == image_size(root / "out" / row["images"][0]) == (32, 32)
    assert row["objects"][0]["bbox_2d"] == [0, 0, *size]


def test_pictures_may_stay_where_they_are(root: Path) -> None:
    result = converted(root, seen("a.jpg", cup()), settings=wanted(pictures="reference"))
    (row,) = lines(root / "out/train.jsonl")
    assert row["images"] == [str(root / "in/a.jpg")]
    assert result.roots == (root / "in",)
    assert not (root / "out/images").exists()


def test_groups_are_not_torn_apart_and_likenesses_across_splits_are_told(tmp_path: Path) -> None:
    for number in range(12):
        paint(tmp_path / f"in/{number // 3}/{number}.png", number if number else 11)
    entries = [seen(f"{number // 3}/{number}.png", cup()) for number in range(12)]
    settings = wanted(split=SplitSettings(val=0.25, test=0.25, by="folder"), tiny={"train": 2})
    report = converted(tmp_path, *entries, settings=settings).report
    of = {
        split: {Path(row["images"][0]).parent.name for row in lines(tmp_path / f"out/{split}.jsonl")}
        for split in ("train", "val", "test")
    }
    assert sorted(len(folders) for folders in of.values()) == [1, 1, 2]
    assert set.union(*of.values()) == {"0", "1", "2", "3"}
    assert {split: counts["rows"] for split, counts in report.splits.items()} == {"train": 6, "val": 3, "test": 3}
    assert len(lines(tmp_path / "out/train_tiny.jsonl")) == 2
    assert not (tmp_path / "out/val_tiny.jsonl").exists()
    assert report.near_duplicates == 1  # 0 and 11 are the same picture
    folder_of = {folder: split for split, folders in of.items() for folder in folders}
    assert report.across == int(folder_of["0"] != folder_of["3"])


def test_the_splits_of_the_source_may_be_taken(root: Path) -> None:
    entries = (seen("a.jpg", cup(), split="train"), seen("b.jpg", cup(), split="val"))
    report = converted(root, *entries, settings=wanted(split=SplitSettings(by="source"))).report
    assert set(report.splits) == {"train", "val"}


def test_the_same_source_gives_the_same_files(root: Path) -> None:
    entries = [seen(name, cup()) for name in ("a.jpg", "gone.jpg", "b.jpg", "sub/猫 c.png")]
    texts = []
    for _ in range(2):
        converted(root, *entries, settings=wanted(split=SplitSettings(val=0.4)))
        files = sorted(path for path in (root / "out").iterdir() if path.is_file())
        texts.append([(path.name, path.read_text(encoding="utf-8")) for path in files])
        shutil.rmtree(root / "out")
    assert texts[0] == texts[1]


def test_an_archive_is_unpacked_and_its_bad_members_are_listed(root: Path) -> None:
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8]}],
        "categories": [{"id": 1, "name": "cup"}],
    }
    (root / "in/coco.json").write_text(json.dumps(coco), encoding="utf-8")
    archive = shutil.make_archive(str(root / "export"), "zip", root / "in")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("../evil.txt", "x")
    report = convert(CocoSource(path=archive), root / "out", wanted()).report
    assert (report.rows_out, report.others_refused) == (1, {"archive_member": 1})
    assert not (root.parent / "evil.txt").exists()
    assert (root / "out/images/a.jpg").is_file()
    assert sorted(path.name for path in root.iterdir()) == ["export.zip", "in", "out"]


def test_an_older_result_is_replaced_on_request_only(root: Path) -> None:
    source = Listed(root / "in", [seen("a.jpg", cup())])
    convert(source, root / "out", wanted())
    with pytest.raises(ConfigError, match="is there already"):
        convert(source, root / "out", wanted())
    convert(replace_entries(source, seen("b.jpg", cup())), root / "out", wanted(), overwrite=True)
    assert [path.name for path in (root / "out/images").iterdir()] == ["b.jpg"]


def replace_entries(source: Listed, *entries: Annotated) -> Listed:
    return Listed(source.path, entries)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("in", "holds the source itself"),
        (".", "holds the source itself"),
        ("in/out", "lies inside source.path"),
        ("mine", "is no folder that this command has written"),
        ("gone/out", "there is no folder"),
    ],
)
def test_nothing_of_the_user_is_overwritten(root: Path, out: str, message: str) -> None:
    (root / "mine").mkdir()
    (root / "mine/thesis.txt").write_text("x", encoding="utf-8")
    before = sorted(root.rglob("*"))
    with pytest.raises(ConfigError, match=message):
        convert(Listed(root / "in", [seen("a.jpg", cup())]), root / out, wanted(), overwrite=True)
    assert sorted(root.rglob("*")) == before


def test_a_source_of_which_nothing_can_be_used_leaves_nothing(root: Path) -> None:
    with pytest.raises(RecordError, match=r"none of the 2 pictures can be used\nno_picture \(2\), such as x.jpg"):
        converted(root, seen("x.jpg", cup()), seen("y.jpg", cup()))
    with pytest.raises(RecordError, match="the source has no picture"):
        converted(root)
    assert [path.name for path in root.iterdir()] == ["in"]


NUMBERS = st.one_of(st.floats(-20, 100), st.integers(0, 80).map(float), st.just(float("nan")))
ANNOTATIONS = st.builds(
    Annotation,
    label=st.sampled_from(["cup", "tree", "a,b", "<image>", ""]),
    kind=st.sampled_from(["bbox_2d", "poly", "line", "point"]),
    parts=st.lists(st.lists(NUMBERS, min_size=2, max_size=8).map(tuple), min_size=1, max_size=3).map(tuple),
    where=st.just("here"),
    attributes=st.just({"n": ("1", "2")}),
    crowd=st.booleans(),
)
PICTURES = st.builds(
    Annotated,
    image=st.sampled_from(["a.png", "b.png", "gone.png"]),
    where=st.just("there"),
    objects=st.lists(ANNOTATIONS, max_size=4).map(tuple),
    refused=st.lists(st.just(Refused("x", "brush", "a brush")), max_size=1).map(tuple),
    width=st.sampled_from([None, WIDTH, 2 * WIDTH, 33]),
    height=st.just(HEIGHT),
    unit=st.sampled_from(["pixels", "share"]),
    metadata=st.sampled_from([{}, {"x": float("nan")}, {"y": "<image>"}]),
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(PICTURES, max_size=4),
    st.sampled_from(["box", "split", "largest"]),
    st.sampled_from(["drop", "refuse"]),
    st.sampled_from([None, 32 * 32]),
)
def test_whatever_a_source_says_the_rows_keep_the_contract_and_the_counts_add_up(
    entries: list[Annotated], multi_part: str, bad_objects: str, max_pixels: int | None
) -> None:
    objects = ObjectSettings(
        template=DescriptionTemplate("{category},{attributes}"), shapes=ShapeSettings(multi_part=multi_part)
    )
    made = wanted(objects=objects, rows={"bad_objects": bad_objects}, max_pixels=max_pixels)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, name in enumerate(("a.png", "b.png")):
            paint(root / "in" / name, number)
        report = converted(root, *entries, seen("a.png", cup()), settings=made).report
        rows = lines(root / "out/train.jsonl")
        rejected = lines(root / "out/rejected.jsonl")
    assert [validate_row(row, source=Source("", 1)) for row in rows] == [[]] * len(rows)
    refused = [each["kind"] for each in rejected]
    assert len(rows) + refused.count("row") == len(entries) + 1 == report.rows_in
    assert sum(len(row["objects"]) for row in rows) == report.objects_out
    assert report.objects_refused.total() - report.objects_refused["row_refused"] == refused.count("object")
