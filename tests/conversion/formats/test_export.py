"""The export of the labelling platform: shapes, answers and groups, and what is refused."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from qvl.conversion.annotated import Annotated, Annotation, Refused
from qvl.conversion.description import DescriptionTemplate
from qvl.conversion.formats.export import ExportSource
from qvl.conversion.formats.export_taxonomy import ExportTaxonomy, tokens_of
from qvl.errors import ConfigError
from qvl.schema import config_dir

RING = [[[10, 20], [110, 20], [110, 80], [10, 80], [10, 20]]]
BOX = {"type": "ExtentPolygon", "coordinates": RING}
LINE = {"type": "LineString", "coordinates": [[1, 2], [30, 40], [5, 6]]}
EQUIPMENT = "这个BBU设备是否需要安装挡风板，结合图片中机柜空间状态判断"


@functools.cache
def taxonomy(name: str) -> ExportTaxonomy:
    node = OmegaConf.to_container(OmegaConf.load(config_dir() / "source" / "taxonomy" / f"{name}.yaml"))
    assert isinstance(node, dict)
    assert node.pop("_target_") == "qvl.conversion.ExportTaxonomy"
    return ExportTaxonomy(**{str(key): value for key, value in node.items()})


def feature(
    label: str,
    answers: Mapping[str, object] | None = None,
    *,
    geometry: Mapping[str, object] = BOX,
    groups: Sequence[object] = (),
    **content: object,
) -> dict[str, object]:
    properties = {"content": {"label": label, **content}, "contentZh": answers or {}, "groups": [*groups]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def write(folder: Path, *features: object, name: str = "a.json", **fields: object) -> None:
    info = {"width": 640, "height": 480, "depth": 3}
    content = {"info": info, "markResult": {"features": [*features]}, **fields}
    (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def read(folder: Path, name: str = "bbu", **settings: Any) -> Annotated:
    (found,) = ExportSource(path=str(folder), taxonomy=taxonomy(name), **settings).read()
    assert isinstance(found, Annotated)
    return found


def described(annotation: Annotation) -> str:
    return DescriptionTemplate(ExportSource.template).write(annotation, label=annotation.label)


def description(
    folder: Path, label: str, answers: Mapping[str, object], name: str = "bbu", **settings: Any
) -> tuple[str, tuple[str, ...]]:
    write(folder, feature(label, answers))
    found = read(folder, name, **settings)
    assert found.refused == ()
    return described(found.objects[0]), found.repairs


def test_a_picture_has_the_stem_of_its_file_and_the_size_it_declares(tmp_path: Path) -> None:
    (tmp_path / "任务 1").mkdir()
    (tmp_path / "任务 1" / "a.PNG").touch()
    write(tmp_path / "任务 1", feature("bbu"))
    found = read(tmp_path)
    assert (found.image, found.where, found.width, found.height) == ("任务 1/a.PNG", "任务 1/a.json", 640, 480)
    assert found.objects[0].where == "任务 1/a.json: markResult.features[0]"


def test_pictures_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").touch()
    (tmp_path / "marks").mkdir()
    write(tmp_path / "marks", feature("bbu"))
    assert read(tmp_path / "marks", images=str(tmp_path / "pictures")).image == "a.jpg"
    assert read(tmp_path / "marks").image == "a.jpeg"  # not there, which the pipeline tells


def test_sizes_that_are_none_are_left_open(tmp_path: Path) -> None:
    write(tmp_path, feature("bbu"), info={"width": 640, "height": "?"})
    assert (read(tmp_path).width, read(tmp_path).height) == (None, None)


@pytest.mark.parametrize(
    ("geometry", "kind", "part", "repairs"),
    [
        (BOX, "bbox_2d", (10, 20, 110, 80), ()),
        ({"type": "ExtentPolygon", "coordinates": [[[0, 1], [9, 0], [9, 9], [0, 9]]]}, "bbox_2d", (0, 0, 9, 9),
         ("box_from_outline",)),
        ({"type": "Quad", "coordinates": RING}, "poly", (10, 20, 110, 20, 110, 80, 10, 80, 10, 20), ()),
        ({"type": "Square", "coordinates": RING[0][:4]}, "poly", (10, 20, 110, 20, 110, 80, 10, 80), ()),
        ({"type": "Polygon", "coordinates": [[[9, 9], [0, 0], [9, 0], [9, 0]], RING[0]]}, "poly", (9, 9, 0, 0, 9, 0),
         ("holes_ignored", "point_repeated")),  # the order of the file, and a triangle stays one
        (LINE, "line", (1, 2, 30, 40, 5, 6), ()),
        ({"type": "LineString", "coordinates": [[1, 2, 7], [1, 2], [3, 4], [1, 2]]}, "line", (1, 2, 3, 4, 1, 2),
         ("point_repeated",)),  # only neighbours
    ],
)  # fmt: skip
def test_shapes_are_read_as_they_were_drawn(
    tmp_path: Path, geometry: Mapping[str, object], kind: str, part: tuple[float, ...], repairs: tuple[str, ...]
) -> None:
    write(tmp_path, feature("bbu", geometry=geometry))
    found = read(tmp_path)
    assert (found.objects[0].kind, found.objects[0].parts, found.repairs) == (kind, (part,), repairs)


@pytest.mark.parametrize(
    ("geometry", "code"),
    [
        ({"type": "Circle", "coordinates": RING}, "unknown_shape"),
        ({}, "unknown_shape"),
        ({"type": "Polygon", "coordinates": []}, "bad_shape"),
        ({"type": "Polygon", "coordinates": [[]]}, "bad_shape"),
        ({"type": "LineString", "coordinates": [[1, 2], [3]]}, "bad_shape"),
        ({"type": "LineString", "coordinates": [[1, "x"], [3, 4]]}, "bad_shape"),
    ],
)
def test_what_is_no_shape_refuses_the_object_alone(tmp_path: Path, geometry: Mapping[str, object], code: str) -> None:
    write(tmp_path, feature("bbu"), feature("bbu", geometry=geometry))
    found = read(tmp_path)
    assert len(found.objects) == 1
    assert [(one.code, one.where) for one in found.refused] == [(code, "a.json: markResult.features[1]")]


def test_a_data_list_has_boxes_by_two_corners_and_counts_before_features(tmp_path: Path) -> None:
    answers = {"标签": "BBU设备", "这个BBU设备是什么品牌": "华为"}
    item = {"coordinates": [[110, 80], [10, 20]], "properties": {"contentZh": answers}}
    write(tmp_path, feature("fiber"), dataList=[item, {"coordinates": [[1, 2]], "properties": {"contentZh": answers}}])
    found = read(tmp_path)
    assert (found.objects[0].kind, found.objects[0].parts) == ("bbox_2d", ((110, 80, 10, 20),))  # the pipeline turns it
    assert [one.code for one in found.refused] == ["bad_shape"]
    assert found.repairs == ("features_ignored",)
    write(tmp_path, feature("bbu"), dataList=[])
    assert len(read(tmp_path).objects) == 1


@pytest.mark.parametrize(
    ("label", "answers", "expected"),
    [
        ("bbu", {"这个BBU设备是什么品牌": "华为", "这个BBU设备是否显示完整": "只显示部分", EQUIPMENT: "无需安装"},
         "类别=BBU设备,品牌=华为,可见性=部分,挡风板需求=免装"),
        ("bbu", {EQUIPMENT: "机柜空间充足，需要安装/这个BBU设备未按要求配备挡风板", "这个BBU设备是什么品牌": "中兴"},
         "类别=BBU设备,品牌=中兴,挡风板需求=空间充足需安装,挡风板符合性=未按要求配备"),
        ("bbu_shield", {"这个挡风板安装方向是否正确": "安装方向错误", "如果有特殊情况，请具体描述": "被 线缆\n挡住"},
         "类别=挡风板,安装方向=方向错误,备注=被线缆挡住"),
        ("connect_point", {"这个螺丝/插头是什么种类": "ODF端光纤插头", "这个螺丝/插头连接是否符合要求": "符合要求"},
         "类别=ODF端光纤插头,符合性=符合"),
        ("connect_point", {"这个螺丝/插头是什么种类": "BBU安装螺丝",
                           "这个螺丝/插头连接是否符合要求": ["不符合要求/未拧紧,生锈", "不符合要求/露铜"]},
         "类别=BBU安装螺丝,符合性=不符合,问题=未拧紧|生锈|露铜"),
        ("fiber", {"这条光纤是否采用保护措施": "有保护措施，保护措施为/同时有蛇形管和铠装",
                   "这条光纤弯曲半径是否合理": "弯曲半径不合理（弯曲半径＜4cm或者成环）"},
         "类别=光纤,保护措施=有保护,保护细节=蛇形管+铠装,弯曲半径=半径不合理<4cm或成环"),
        ("fiber", {}, "类别=光纤"),
        ("label", {"能否阅读标签上的文字内容": "能", "请输入标签上的文字内容": "BBU-1 / A,2|b=c"},
         "类别=标签,文本=BBU-1/A,2|b=c"),
        ("label", {"能否阅读标签上的文字内容": "不能"}, "类别=标签,可读性=不可读"),
        ("label", {"请输入标签上的文字内容": "能/储能,1"}, "类别=标签,文本=储能,1"),
        ("label", {"请输入标签上的文字内容": "/A/"}, "类别=标签,文本=/A/"),
    ],
)  # fmt: skip
def test_answers_become_words_in_the_order_of_the_taxonomy(
    tmp_path: Path, label: str, answers: Mapping[str, object], expected: str
) -> None:
    assert description(tmp_path, label, answers) == (expected, ())


@pytest.mark.parametrize(
    ("label", "answers", "expected"),
    [
        ("station", {"距离": "站点距离：１２３米"}, "类别=站点距离,站点距离=123"),
        ("rru", {}, "类别=RRU设备"),
        ("fastener", {"安装状态": "紧固合格"}, "类别=紧固件,安装状态=合格"),
        (
            "fiber",
            {"尾纤是否标签": "标签", "尾纤是否进行套管保护": "没有保护"},
            "类别=尾纤,标签=有标签,套管保护=无套管",
        ),
        ("wire", {"是否带有标签": "没有标签"}, "类别=接地线,标签=无标签"),
        ("lable", {"标签内容": "RRU 3 - 1"}, "类别=标签,文本=RRU3-1"),
    ],
)  # fmt: skip
def test_tasks_of_another_kind_have_a_taxonomy_of_their_own(
    tmp_path: Path, label: str, answers: Mapping[str, object], expected: str
) -> None:
    assert description(tmp_path, label, answers, "rru") == (expected, ())


def test_short_answers_are_read_where_no_question_was_answered(tmp_path: Path) -> None:
    codes: dict[str, Any] = {"bbu_brand": "ericsson", "bbu_equipment": "bbu_equipment_true/bbu_equipment_true_true"}
    write(tmp_path, feature("bbu", {"这个BBU设备是什么品牌": "华为"}, **codes))
    assert described(read(tmp_path).objects[0]) == (
        "类别=BBU设备,品牌=华为,挡风板需求=空间充足需安装,挡风板符合性=按要求配备"
    )


@pytest.mark.parametrize(
    ("answers", "expected", "repairs"),
    [
        ({"这条电线是否捆扎整齐": "捆扎整齐，有灰尘"}, "类别=电线,捆扎=整齐,备注=有灰尘", ("folded_into_remark",)),
        ({"如果有特殊情况，请具体描述": "有遮挡，松动", "这条电线是否捆扎整齐": "乱"}, "类别=电线,备注=松动,乱",
         ("answer_ignored", "folded_into_remark")),
        ({"这条电线是否被遮挡": "无遮挡"}, "类别=电线", ("answer_ignored",)),
        ({"这条电线是否捆扎整齐": "框选范围有误"}, "类别=电线", ("answer_ignored",)),
        ({"颜色": "红"}, "类别=电线", ("question_ignored",)),
        ({"颜色": " ", "这条电线是否捆扎整齐": None}, "类别=电线", ()),
    ],
)  # fmt: skip
def test_what_no_attribute_knows_is_folded_or_counted(
    tmp_path: Path, answers: Mapping[str, object], expected: str, repairs: tuple[str, ...]
) -> None:
    assert description(tmp_path, "wire", answers) == (expected, repairs)


def test_an_attribute_whose_condition_does_not_hold_is_left_out_and_counted(tmp_path: Path) -> None:
    answers = {"这个螺丝/插头是什么种类": "BBU安装螺丝", "这个螺丝/插头连接是否符合要求": "符合要求/生锈"}
    assert description(tmp_path, "connect_point", answers) == ("类别=BBU安装螺丝,符合性=符合", ("condition_unmet",))


@pytest.mark.parametrize(
    ("label", "answers", "name", "code"),
    [
        ("drone", {}, "bbu", "unknown_type"),
        ("rru", {"标签": "RRU设备"}, "bbu", "unknown_type"),
        ("connect_point", {"螺丝/插头是否显示完整": "显示完整"}, "bbu", "missing_answer"),
        ("station", {"距离": "未知"}, "rru", "unknown_value"),
        ("station", {}, "rru", "missing_answer"),
        ("fastener", {"安装状态": "生锈"}, "rru", "unknown_value"),  # no remark to fold it into
        ("fastener", {"安装状态": {"a": 1}}, "rru", "unknown_value"),
        ("wire", {"这条电线是否捆扎整齐": ["捆扎整齐", "分布散乱"]}, "bbu", "conflicting_values"),
    ],
)
def test_answers_that_cannot_be_used_refuse_the_object(
    tmp_path: Path, label: str, answers: Mapping[str, object], name: str, code: str
) -> None:
    write(tmp_path, feature(label, answers))
    found = read(tmp_path, name)
    assert [one.code for one in found.refused] == [code]
    assert (found.objects, found.repairs) == ((), ())


def test_a_question_that_nobody_asks_is_refused_on_request(tmp_path: Path) -> None:
    write(tmp_path, feature("wire", {"颜色": "红"}))
    (refused,) = read(tmp_path, strict_questions=True).refused
    assert (refused.code, refused.came) == ("unknown_question", "颜色")
    assert "这条电线是否捆扎整齐" in refused.message


def test_marks_in_printed_text_can_be_made_wide(tmp_path: Path) -> None:
    answers = {"请输入标签上的文字内容": "A,2|b=c"}
    assert description(tmp_path, "label", answers, text_marks="wide")[0] == "类别=标签,文本=A，2｜b＝c"


def test_groups_stand_behind_the_attributes(tmp_path: Path) -> None:
    both, one = [{"id": 1, "name": "组1"}, {"name": "group_2"}], [{"id": 1}]
    write(tmp_path, feature("rru", groups=both), feature("fiber", {"尾纤是否标签": "标签"}, groups=one),
          feature("wire", groups=[{"name": "组2"}, {"name": "组2"}]), feature("rru"))  # fmt: skip
    found = read(tmp_path, "rru")
    assert [described(one) for one in found.objects] == [
        "类别=RRU设备,组=1|2", "类别=尾纤,标签=有标签,组=1", "类别=接地线,组=2", "类别=RRU设备",
    ]  # fmt: skip


def test_a_group_with_one_member_refuses_the_picture_or_goes(tmp_path: Path) -> None:
    write(tmp_path, feature("rru", groups=[{"id": 1}]), feature("rru"))
    source = ExportSource(path=str(tmp_path), taxonomy=taxonomy("rru"))
    (refused,) = source.read()
    assert isinstance(refused, Refused)
    assert (refused.code, refused.where, refused.came) == ("lone_group", "a.json", "1")
    found = read(tmp_path, "rru", lone_groups="drop")
    assert ([described(one) for one in found.objects], found.repairs) == (["类别=RRU设备"] * 2, ("lone_group",))


def test_groups_mean_nothing_to_a_taxonomy_without_a_key_for_them(tmp_path: Path) -> None:
    write(tmp_path, feature("bbu", groups=[{"id": 1}]))
    assert read(tmp_path).repairs == ("groups_ignored",)
    assert described(read(tmp_path).objects[0]) == "类别=BBU设备"


def test_files_that_are_no_export_are_told_and_the_others_are_read(tmp_path: Path) -> None:
    write(tmp_path, feature("bbu"), name="b.json")
    for name, text in {"a": "{", "c": "[]", "d": '{"markResult": 3}', "e": '{"dataList": {}}'}.items():
        (tmp_path / f"{name}.json").write_text(text)
    source = ExportSource(path=str(tmp_path), taxonomy=taxonomy("bbu"))
    found = list(source.read())
    assert source.size_hint() == len(found) == 5
    assert [one.code if isinstance(one, Refused) else one.where for one in found] == [
        "bad_json", "b.json", "not_an_export", "not_an_export", "not_an_export",
    ]  # fmt: skip


def test_entries_of_any_form_are_read_or_refused(tmp_path: Path) -> None:
    odd = [
        None,
        3,
        {},
        {"properties": 1},
        {"properties": {"content": [], "contentZh": "x", "groups": 3}, "geometry": 2},
    ]
    write(tmp_path, *odd)
    found = read(tmp_path)
    assert [one.code for one in found.refused] == ["unknown_type"] * len(odd)


@pytest.mark.parametrize("setting", [{"text_marks": "drop"}, {"lone_groups": "keep"}])
def test_settings_are_one_of_two_words(setting: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        ExportSource(path="x", taxonomy=taxonomy("bbu"), **setting)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"category": "A", "colour": 1}, "source.taxonomy.types.a: there is no key colour; there are: labels"),
        ({}, "types.a: needs either `category` or an attribute 类别"),
        ({"category": "A", "labels": "x"}, "types.a.labels: expected a list of texts, got 'x'"),
        ({"category": "A=B"}, "types.a.category: expected a word"),
        ({"category": "A", "attributes": {"x": {"values": {"a": "b,c"}}}}, "attributes.x.values.a: expected a word"),
        ({"category": "A", "attributes": {"x": {"values": {"a": 1}}}}, "attributes.x.values.a: expected a word"),
        ({"category": "A", "attributes": {"x": {"form": "long"}}}, "form: expected one of choice, text, digits"),
        ({"category": "A", "attributes": {"x": {}}}, "attributes.x: form choice needs `values`"),
        ({"category": "A", "attributes": {"x": {"form": "text", "values": {"a": "b"}}}}, "form text has no `values`"),
        ({"category": "A", "attributes": {"x": {"form": "text", "only_if": {"y": []}}}}, "there is no attribute y"),
        (3, "types.a: expected keys with values, got 3"),
    ],
)
def test_a_taxonomy_that_cannot_be_meant_is_refused(node: Any, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        ExportTaxonomy(types={"a": node})
    assert message in str(told.value)


@pytest.mark.parametrize("name", ["bbu", "rru"])
def test_the_words_of_a_taxonomy_are_those_of_the_prompts_of_its_domain(name: str) -> None:
    told = OmegaConf.to_container(OmegaConf.load(config_dir() / "prompts" / "domain" / f"{name}.yaml"))
    assert isinstance(told, dict)
    kinds = taxonomy(name).types.values()
    assert len(kinds) > 5
    written: dict[str, dict[str, list[str]]] = {}
    for kind in kinds:
        words = {one.name: list(dict.fromkeys(word for word in one.values.values() if word)) for one in kind.attributes}
        written |= {category: words for category in words.pop("类别", [kind.category])}
    assert {category: {key: sorted(value) for key, value in words.items()} for category, words in written.items()} == {
        category: {key: sorted(value) for key, value in words.items()} for category, words in told["categories"].items()
    }
    assert [list(words) for words in told["categories"].values()] == [list(written[key]) for key in told["categories"]]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["距离", "x"]), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["geometry", "coordinates"]), VALUES),
    st.dictionaries(st.sampled_from(["content", "contentZh", "groups"]), VALUES),
    st.dictionaries(st.sampled_from(["距离", "标签", "安装状态"]), VALUES),
)
def test_every_object_is_read_or_refused_whatever_it_holds(
    entry: dict[str, object], properties: dict[str, object], answers: dict[str, object]
) -> None:
    said = {"content": {"label": "station"}, "contentZh": answers}
    forms = [properties, said, said | {"groups": properties.get("groups")}]
    with tempfile.TemporaryDirectory() as folder:
        for number, more in enumerate(forms):
            write(Path(folder), {"geometry": BOX, **entry, "properties": more}, name=f"{number}.json")
        found = list(ExportSource(path=folder, taxonomy=taxonomy("rru")).read())
    assert len(found) == len(forms)
    for one in found:
        if isinstance(one, Refused):
            assert one.code == "lone_group"
        else:
            assert len(one.objects) + len(one.refused) == 1


PLAIN = {"A": "A", "b c": "bc", "４": "4", "（x）": "(x)"}


@given(
    st.lists(st.sampled_from(["A", "b c", "４", "（x）"]), min_size=1), st.sampled_from(["/", "，", ", ", "、", "|"])
)
def test_the_parts_of_an_answer_do_not_depend_on_the_mark_between_them(parts: list[str], mark: str) -> None:
    assert tokens_of(mark.join(parts)) == tuple(PLAIN[part] for part in parts)
