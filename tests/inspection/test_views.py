"""Cards of rows show what training shows, and tell what cannot be shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qvl.augmentation import Compose, Gamma, HorizontalFlip, Rotate
from qvl.conversation import ChatBuilder, DenseBuilder, TextObject
from qvl.data import (
    BasePreprocessor,
    DemoScenes,
    FusionDataset,
    RowSource,
    SampleContext,
    Turn,
    TurnDataset,
    TurnFormat,
)
from qvl.errors import ConfigError, HealthError
from qvl.inspection import Pick, RowViews, SeenPicture, SeenTurn, pick_rows
from qvl.prompts import PromptScheme
from qvl.visualization import Card

FORM = TurnFormat("norm1000", "tlbr", "图片", min_pixels=4096, max_pixels=65536)
AUGMENTATION = Compose(
    transforms={"flip": HorizontalFlip(p=0.5), "turn": Rotate(p=0.7, max_degrees=20), "light": Gamma(p=0.5)}
)
BOX = {"desc": "类别=机柜", "bbox_2d": [4, 4, 20, 20]}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "scenes"
    return DemoScenes(root=str(root), style="field", seed=3, splits={"train": 7}).prepare() / "train.jsonl"


def data(*paths: Path, augmentation: Compose | None = None, **source: Any) -> TurnDataset:
    builder = DenseBuilder(prompts=PromptScheme(user="List every object."))
    context = SampleContext(builder, FORM, seed=3, augmentation=augmentation)
    sources = {f"{number}-{path.stem}": RowSource(path=str(path), **source) for number, path in enumerate(paths)}
    return FusionDataset(sources=sources, context=context)


def written(folder: Path, *rows: object) -> Path:
    Image.new("RGB", (40, 30), (90, 90, 90)).save(folder / "a.png")
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "rows.jsonl"


def row(*objects: object, **changes: object) -> dict[str, object]:
    return {"images": ["a.png"], "width": 40, "height": 30, "objects": list(objects or (BOX,)), **changes}


def cards(dataset: TurnDataset, *views: str, picks: Sequence[Pick] | None = None, **settings: Any) -> list[Card]:
    every = [Pick(part, row) for part, rows in enumerate(dataset.parts) for row in range(len(rows.rows))]
    return list(RowViews(dataset, views=views, **settings).cards(every if picks is None else picks))


def test_the_draws_are_the_samples_of_the_first_epochs_pixel_by_pixel(demo: Path) -> None:
    dataset = data(demo, augmentation=AUGMENTATION)
    drawn = cards(dataset, "augmented", draws=3)
    checked = 0
    for epoch in range(3):
        plan = dataset.plan(epoch)
        for turn in range(len(plan)):
            ticket = plan.ticket(turn)
            trained = dataset[ticket._replace(progress=epoch / 3)]
            for index, record, picture in zip(ticket.rows, trained.records, trained.pictures, strict=True):
                panel = drawn[index].panels[epoch]
                assert np.array_equal(np.asarray(panel.image), np.asarray(picture))
                assert [item.shape for item in panel.items] == [item.shape for item in record.objects]
                checked += 1
    assert checked == 21
    assert len({panel.image.tobytes() for panel in drawn[0].panels}) == 3


def test_a_curriculum_is_shown_as_far_as_it_is_asked_for(demo: Path) -> None:
    phases = [{"until": 1.0, "values": {"turn.max_degrees": 90}}]
    slow = Compose(transforms={"turn": Rotate(p=1.0, max_degrees=1)}, curriculum=phases)
    dataset = data(demo, augmentation=slow)
    late, growing = (cards(dataset, "augmented", draws=2, progress=progress)[0] for progress in (0.5, None))
    assert late.panels[1].image.tobytes() == growing.panels[1].image.tobytes()
    assert late.panels[0].image.tobytes() != growing.panels[0].image.tobytes()


def test_the_original_has_its_objects_as_they_are_annotated(tmp_path: Path) -> None:
    line = {"desc": "cable", "line": [30, 20, 1, 2]}
    (card,) = cards(data(written(tmp_path, row(BOX, line, summary="一台", metadata={"设备": 1}))), "original")
    (panel,) = card.panels
    assert [item.desc for item in panel.items] == ["类别=机柜", "cable"]
    assert [item.numbers for item in panel.items] == ["bbox_2d [4, 4, 20, 20]", "line [30, 20, 1, 2]"]
    assert [item.facets for item in panel.items] == [
        {"category": "机柜", "shape": "bbox_2d"},
        {"category": "cable", "shape": "line"},
    ]
    assert card.texts == [("summary", "一台"), ("metadata", '{\n  "设备": 1\n}')]
    assert card.origin == f"{tmp_path}/rows.jsonl:1, 40 x 30 pixels"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("{", "bad_json"),
        (row({"desc": "x", "bbox_2d": [9, 1, 1, 9]}), "bbox_unordered"),
        (row(images=["gone.png"]), "image_unreadable"),
        (row(images=["../a.png"]), "image_outside_roots"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(tmp_path: Path, bad: object, code: str) -> None:
    first, second = cards(data(written(tmp_path, bad, row())), "original", "augmented", draws=1)
    assert first.panels == []
    assert code in [fault[0] for fault in first.faults]
    assert first.facets["finding"] == sorted({fault[0] for fault in first.faults})
    assert second.faults == []


def test_a_picture_of_another_size_is_shown_to_see_why(tmp_path: Path) -> None:
    (card,) = cards(data(written(tmp_path, row(width=30, height=40))), "original", "augmented")
    assert [panel.heading for panel in card.panels] == ["Original"]
    assert card.panels[0].extent == (40, 30)
    assert [fault[0] for fault in card.faults] == ["size_mismatch"]


class NoRows(BasePreprocessor):
    def preprocess(self, row: Any) -> None:
        return None


def test_a_row_that_the_preprocessor_removes_says_so(tmp_path: Path) -> None:
    (card,) = cards(data(written(tmp_path, row()), preprocessor=NoRows()), "original")
    assert card.faults == [("removed", "row", "NoRows leaves it out")]


def test_a_row_of_chat_has_no_picture_and_is_no_error(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]}
    seen = SeenTurn("2", 9, 3, ())
    dataset = data(written(tmp_path, chat), builder=ChatBuilder(), images_per_user_turn=1)
    (card,) = cards(dataset, "original", "augmented", "model", model_view=lambda turn: seen)
    assert (list(card.panels), card.faults) == ([], [])
    assert card.texts == [("the answer that is trained on: 3 of 9 tokens", "2")]


def test_what_the_model_sees_is_shown_as_it_comes(tmp_path: Path) -> None:
    objects = (TextObject("a", "bbox_2d", (1, 1, 9, 9)), TextObject("b", "bbox_2d", (5, 5, 5, 5)))
    image = Image.new("RGB", (64, 64))

    def look(turn: Turn) -> SeenTurn:
        assert turn.pictures[0].size == (40, 30)
        return SeenTurn("{}", 20, 5, (SeenPicture(image, (1000, 1000), objects, 4),))

    (card,) = cards(data(written(tmp_path, row()), augmentation=AUGMENTATION), "model", model_view=look)
    (panel,) = card.panels
    assert panel.image is image
    assert (panel.extent, panel.remark) == ((1000, 1000), "64 x 64, 4 tokens")
    assert [item.shape is None for item in panel.items] == [False, True]
    assert panel.items[1].stress == "no possible shape on the grid"


def test_a_failed_health_check_stands_on_the_card(tmp_path: Path) -> None:
    def look(turn: Turn) -> SeenTurn:
        raise HealthError("rows.jsonl:1: lost")

    (card,) = cards(data(written(tmp_path, row())), "original", "model", model_view=look)
    assert [panel.heading for panel in card.panels] == ["Original"]
    assert card.faults == [("HealthError", "model", "rows.jsonl:1: lost")]


def test_rows_are_chosen_by_their_lines_in_every_source(tmp_path: Path, demo: Path) -> None:
    path = written(tmp_path, "", row(), "", row(), row())  # blank lines count
    dataset = data(path, demo)
    assert pick_rows(dataset, lines=[2, 5], most=1, seed=0) == [Pick(0, 0), Pick(0, 2), Pick(1, 1), Pick(1, 4)]
    assert pick_rows(dataset, lines=[7], most=1, seed=0) == [Pick(1, 6)]
    with pytest.raises(ConfigError, match=r"rows: there is no row in use at line 9, 88 of .*rows.jsonl, .*train.jsonl"):
        pick_rows(dataset, lines=[9, 2, 88], most=1, seed=0)


def test_a_random_choice_depends_on_the_seed_alone_and_keeps_the_order(tmp_path: Path, demo: Path) -> None:
    dataset = data(written(tmp_path, row(), row()), demo)
    assert len(pick_rows(dataset, lines=None, most=50, seed=1)) == 9
    chosen = pick_rows(dataset, lines=None, most=4, seed=1)
    assert chosen == sorted(set(chosen)) == pick_rows(dataset, lines=None, most=4, seed=1)
    assert len({tuple(pick_rows(dataset, lines=None, most=4, seed=seed)) for seed in range(9)}) > 3


@pytest.mark.parametrize("views", [("orginal",), ()])
def test_an_unknown_view_is_refused(tmp_path: Path, views: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"views: .*choose from original, augmented, model"):
        RowViews(data(written(tmp_path, row())), views=views)
