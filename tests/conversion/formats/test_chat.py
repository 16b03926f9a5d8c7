"""Chat data with shapes as its importer reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.chat import ChatSource
from qvl.geometry import model_size

BOX = {"bbox_2d": [10, 20, 30, 40], "label": "cat"}


def row(answer: object, **more: object) -> dict[str, object]:
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    turns = [{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": text}]
    return {"image": "a.jpg", "messages": turns, **more}


def read(folder: Path, *rows: object, name: str = "data.jsonl", **settings: object) -> list[Annotated | Refused]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(each) for each in rows), encoding="utf-8")
    return [*ChatSource(path=str(folder), **settings).read()]  # type: ignore[arg-type]


def one(folder: Path, content: Mapping[str, object], **settings: object) -> Annotated:
    (found,) = read(folder, content, **settings)
    assert isinstance(found, Annotated)
    return found


def codes(entries: Sequence[object]) -> list[str]:
    return [entry.code for entry in entries if isinstance(entry, Refused)]


def test_a_list_of_boxes_is_read_with_its_labels_and_attributes(tmp_path):
    found = one(tmp_path, row([BOX, {"point_2d": [1, 2], "label": "dog", "role": "referee", "age": 3}]))
    assert [(each.label, each.kind, each.parts) for each in found.objects] == [
        ("cat", "bbox_2d", ((10, 20, 30, 40),)),
        ("dog", "point", ((1, 2),)),
    ]
    assert dict(found.objects[1].attributes) == {"role": "referee", "age": "3"}
    assert (found.image, found.unit, found.where, found.repairs) == ("a.jpg", "pixels", "data.jsonl:1", ())


@pytest.mark.parametrize(
    ("answer", "repairs"),
    [
        (BOX, ()),
        ({"object_1": {"bbox_2d": [10, 20, 30, 40], "desc": "cat"}}, ()),
        (f"```json\n[{json.dumps(BOX)}]\n```", ()),
        (f"Here they are: [{json.dumps(BOX)}] Anything else?", ("words_around_json",)),
        ([{"bbox": [[10, 20], [30, 40]], "category": "cat"}], ()),
    ],
    ids=["one object", "numbered", "fence", "words around", "other keys"],
)
def test_the_forms_of_an_answer_in_json_mean_the_same(tmp_path, answer, repairs):
    found = one(tmp_path, row(answer))
    assert [(each.label, each.parts) for each in found.objects] == [("cat", ((10, 20, 30, 40),))]
    assert found.repairs == repairs


def test_polygons_and_lines_may_be_lists_of_points(tmp_path):
    found = one(
        tmp_path, row([{"polygon": [[1, 2], [3, 4], [5, 7]], "label": "a"}, {"line": [1, 2, 3, 4], "label": "b"}])
    )
    assert [(each.kind, each.parts[0]) for each in found.objects] == [
        ("poly", (1, 2, 3, 4, 5, 7)),
        ("line", (1, 2, 3, 4)),
    ]


@pytest.mark.parametrize(("units", "grid"), [("norm1", 1), ("norm100", 100), ("norm1000", 1000)])
def test_numbers_of_a_grid_become_shares(tmp_path, units, grid):
    answer = [{"bbox_2d": [0, grid / 4, grid / 2, grid], "label": "cat"}]
    found = one(tmp_path, row(answer), units=units)
    assert (found.unit, found.objects[0].parts) == ("share", ((0, 0.25, 0.5, 1),))


@given(width=st.integers(60, 4000), height=st.integers(60, 4000))
def test_pixels_of_the_resized_picture_become_shares_of_its_computed_size(tmp_path_factory, width, height):
    across, down = model_size(width, height, factor=28, min_pixels=3136, max_pixels=12845056)
    answer = [{"bbox_2d": [0, 0, across, down], "label": "cat"}]
    folder = tmp_path_factory.mktemp("chat")
    found = one(folder, row(answer, width=width, height=height), units="resized")
    assert (found.objects[0].parts, found.width, found.height) == (((0, 0, 1, 1),), width, height)


def test_a_resized_size_that_the_row_says_is_used_and_without_any_the_row_is_refused(tmp_path):
    part = {"type": "image", "image": "file:///x/a.jpg", "resized_width": 20, "resized_height": 80}
    turns = [
        {"role": "user", "content": [part]},
        {"role": "assistant", "content": [{"type": "text", "text": json.dumps([BOX])}]},
    ]
    found = one(tmp_path, {"messages": turns}, units="resized")
    assert (found.image, found.objects[0].parts) == ("/x/a.jpg", ((0.5, 0.25, 1.5, 0.5),))
    assert codes(read(tmp_path, row([BOX]), units="resized")) == ["no_size"]
    assert codes(read(tmp_path, row([BOX], width=1, height=9000), units="resized")) == ["no_size"]


@pytest.mark.parametrize(
    "content",
    [
        {"image": ["a.jpg"], "conversations": [{"from": "gpt", "value": json.dumps(BOX)}]},
        {"images": [{"path": "a.jpg"}], "prefix": "detect cat", "suffix": json.dumps([BOX])},
        {"messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.jpg"}}]},
            {"role": "assistant", "content": json.dumps([BOX])},
        ]},
    ],
    ids=["LLaVA and Qwen", "flat", "OpenAI"],
)  # fmt: skip
def test_the_keys_of_other_tools_mean_the_same(tmp_path, content):
    found = one(tmp_path, content)
    assert (found.image, found.objects[0].parts) == ("a.jpg", ((10, 20, 30, 40),))


def test_location_tokens_of_paligemma_name_y_first(tmp_path):
    suffix = "<loc0256><loc0000><loc0512><loc1024> cat ; <loc0000><loc0512><loc0256><loc0768> big dog"
    found = one(tmp_path, {"image": "a.jpg", "prefix": "detect cat ; big dog", "suffix": suffix})
    assert [(each.label, each.parts[0]) for each in found.objects] == [
        ("cat", (0, 0.25, 1, 0.5)),
        ("big dog", (0.5, 0, 0.75, 0.25)),
    ]
    assert found.unit == "share"


def test_mask_tokens_are_counted_and_incomplete_boxes_refused(tmp_path):
    box = "<loc0001><loc0002><loc0003><loc0004>"
    suffix = f"{box}<seg001><seg002> cat ; <loc0001><loc0002> dog ; {box}"
    found = one(tmp_path, {"image": "a.jpg", "suffix": suffix})
    assert ([each.label for each in found.objects], found.repairs) == (["cat"], ("mask_tokens_ignored",))
    assert codes(found.refused) == ["bad_length", "no_label"]


def test_location_tokens_of_florence_follow_the_label(tmp_path):
    suffix = "cat<loc_0><loc_249><loc_499><loc_999>dog<loc_1><loc_1><loc_2><loc_2><loc_3><loc_3><loc_4><loc_4>"
    found = one(tmp_path, {"image": "a.jpg", "prefix": "<OD>", "suffix": suffix})
    assert [each.label for each in found.objects] == ["cat", "dog", "dog"]
    assert found.objects[0].parts[0] == pytest.approx((0.0005, 0.2495, 0.4995, 0.9995))


@pytest.mark.parametrize(
    "answer",
    [
        "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(10,20),(30,40)<|box_end|> sits there",
        "<ref>cat</ref><box>(10,20),(30,40)</box>",
    ],
)
def test_box_tokens_of_qwen_are_read(tmp_path, answer):
    found = one(tmp_path, row(answer), units="norm100")
    assert (found.objects[0].label, found.objects[0].parts) == ("cat", ((0.1, 0.2, 0.3, 0.4),))


def test_box_tokens_without_a_label_are_refused(tmp_path):
    assert codes(one(tmp_path, row("<|box_start|>(10,20),(30,40)<|box_end|>")).refused) == ["no_label"]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"label": "cat"}, "no_shape"),
        ({**BOX, "poly": [1, 2, 3, 4, 5, 6]}, "no_shape"),
        ({"bbox_2d": [1, 2, 3, 4]}, "no_label"),
        ({"bbox_2d": [1, None, 3, 4], "label": "cat"}, "not_a_number"),
        ("cat", "no_shape"),
    ],
)
def test_an_entry_that_is_no_object_is_refused(tmp_path, entry, code):
    found = one(tmp_path, row([BOX, entry]))
    assert (codes(found.refused), len(found.objects)) == ([code], 1)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (row("There is nothing."), "no_answer"),
        (row("[{broken"), "no_answer"),
        (row([BOX]) | {"image": ""}, "no_picture_named"),
        (row([BOX]) | {"image": "data:image/png;base64,AAAA"}, "no_picture_named"),
        (row([BOX]) | {"image": ["a.jpg", "b.jpg"]}, "many_images"),
        ([1], "not_an_object"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused(tmp_path, content, code):
    assert codes(read(tmp_path, content)) == [code]


def test_answers_of_all_turns_are_put_together_and_have_to_count_alike(tmp_path):
    content = row([BOX])
    assert isinstance(content["messages"], list)
    content["messages"] *= 2
    assert len(one(tmp_path, content).objects) == 2
    content["messages"].append({"role": "assistant", "content": "<loc0001><loc0002><loc0003><loc0004> cat"})
    assert codes(read(tmp_path, content)) == ["mixed_units"]


def test_an_empty_list_is_an_answer(tmp_path):
    assert one(tmp_path, row([])).objects == ()


def test_faults_of_a_line_stand_with_its_number_and_the_others_are_read(tmp_path):
    lines = [
        json.dumps(row([BOX])).encode(),
        b"",
        b'{"image": ',
        b"\xff",
        b'{"a": 1, "a": 2}',
        json.dumps(row([BOX])).encode(),
    ]
    (tmp_path / "data.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    source = ChatSource(path=str(tmp_path / "data.jsonl"))
    rows = [*source.read()]
    assert [(each.where, each.code) for each in rows if isinstance(each, Refused)] == [
        ("data.jsonl:3", "bad_json"),
        ("data.jsonl:4", "bad_utf8"),
        ("data.jsonl:5", "duplicate_key"),
    ]
    assert [each.where for each in rows if isinstance(each, Annotated)] == ["data.jsonl:1", "data.jsonl:6"]
    assert source.size_hint() == 5


def test_a_json_file_holds_a_list_of_rows(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps([row([BOX]), row([BOX])]), encoding="utf-8")
    assert [each.where for each in ChatSource(path=str(tmp_path)).read()] == ["data.json: [0]", "data.json: [1]"]
    (tmp_path / "data.json").write_text("[", encoding="utf-8")
    assert codes([*ChatSource(path=str(tmp_path)).read()]) == ["bad_json"]


@pytest.mark.parametrize(
    ("name", "split"), [("valid.jsonl", "val"), ("test/annotations.jsonl", "test"), ("other/data.jsonl", None)]
)
def test_the_split_is_said_by_the_name_of_the_file_or_of_its_folder(tmp_path, name, split):
    (found,) = read(tmp_path, row([BOX]), name=name)
    assert isinstance(found, Annotated)
    assert found.split == split


def test_pictures_beside_a_file_in_a_folder_are_found(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/a.jpg").touch()
    (found,) = read(tmp_path, row([BOX]), name="train/_annotations.jsonl")
    assert isinstance(found, Annotated)
    assert found.image == "train/a.jpg"


def test_unknown_units_are_refused():
    with pytest.raises(ValueError, match="units must be one of"):
        ChatSource(path="x", units="miles")
