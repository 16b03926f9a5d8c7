import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.conversation import IRRELEVANT, SummaryWriter
from qvl.errors import ConfigError
from qvl.records import Source, validate_as

ENGLISH = SummaryWriter(
    statistics_word="statistics", category_word="type", remarks_word="remarks", groups_word="groups",
    remark="remark", group="group", texts=["text"],
)  # fmt: skip
WORDS = st.sampled_from(["red", "black", "on", "51", "部分"])
KEYS = st.sampled_from(["color", "lamp", "brand"])
PAIRS = st.dictionaries(KEYS, st.lists(WORDS, min_size=1, max_size=2, unique=True), max_size=2)
OBJECTS = st.lists(st.tuples(st.sampled_from(["cable", "screw", "光纤"]), PAIRS), min_size=1, max_size=5)


def desc(category, pairs):
    return ",".join([f"type={category}", *(f"{key}={'|'.join(values)}" for key, values in pairs.items())])


@pytest.mark.parametrize(
    ("descs", "summary"),
    [
        (["类别=光纤,保护措施=有保护"] * 2, '{"统计": [{"类别": "光纤", "保护措施": {"有保护": 2}}]}'),
        (["类别=光纤", "类别=挡风板"], '{"统计": [{"类别": "光纤"}, {"类别": "挡风板"}]}'),
        (["类别=螺丝,问题=松动|生锈"], '{"统计": [{"类别": "螺丝", "问题": {"松动": 1, "生锈": 1}}]}'),
        (["类别=标签,文本=A|B,C"], '{"统计": [{"类别": "标签", "文本": {"A|B,C": 1}}]}'),  # printed text stays whole
        (["类别=标签,文本=A,可读性=不可读"], '{"统计": [{"类别": "标签", "可读性": {"不可读": 1}, "文本": {"A": 1}}]}'),
        (["类别=标签,文本="], '{"统计": [{"类别": "标签"}]}'),  # nothing was seen
        (["类别=a,备注=x,y", "类别=a,备注=x,y"], '{"统计": [{"类别": "a"}], "备注": ["x,y"]}'),
        (["类别=a,组=1|10", "类别=b,组=1|2"],
         '{"统计": [{"类别": "a"}, {"类别": "b"}], "分组统计": {"1": 2, "2": 1, "10": 1}}'),
        (["类别=RRU设备", "类别=站点距离,站点距离=51"],
         '{"统计": [{"类别": "站点距离", "站点距离": {"51": 1}}, {"类别": "RRU设备"}]}'),
        (["fiber/protected", "fiber, color = red"], '{"统计": [{"类别": "fiber", "color": {"red": 1}}]}'),
        (['类别=标签,文本="a"\\'], '{"统计": [{"类别": "标签", "文本": {"\\"a\\"\\\\": 1}}]}'),
    ],
)  # fmt: skip
def test_a_summary_counts_what_was_seen(descs, summary):
    assert SummaryWriter().write(descs) == summary


def test_the_words_and_the_number_of_objects_are_settings():
    writer = SummaryWriter(statistics_word="seen", category_word="type", count_word="number", first=["screw"])
    assert writer.write(["type=cable,color=red", "screw", "screw"]) == (
        '{"seen": [{"type": "screw", "number": 2}, {"type": "cable", "number": 1, "color": {"red": 1}}]}'
    )


@settings(max_examples=60, deadline=None)
@given(OBJECTS)
def test_every_value_of_every_object_is_counted_once(objects):
    summary = json.loads(ENGLISH.write([desc(*item) for item in objects]))
    counted = {
        (entry["type"], key, value): count
        for entry in summary["statistics"]
        for key, values in entry.items()
        if key != "type"
        for value, count in values.items()
    }
    seen = [(name, key, value) for name, pairs in objects for key, values in pairs.items() for value in values]
    assert counted == {item: seen.count(item) for item in seen}
    assert [entry["type"] for entry in summary["statistics"]] == sorted({name for name, _ in objects})


@settings(max_examples=60, deadline=None)
@given(OBJECTS, st.randoms(use_true_random=False))
def test_the_order_of_the_objects_does_not_matter(objects, random):
    descs = [desc(*item) for item in objects]
    shuffled = random.sample(descs, len(descs))
    assert ENGLISH.write(shuffled) == ENGLISH.write(descs)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_any_description_gives_one_line_of_json(descs):
    try:
        text = ENGLISH.write(descs)
    except ConfigError:  # an attribute that is called `type`
        return
    assert "\n" not in text
    assert json.dumps(json.loads(text), ensure_ascii=False) == text


@pytest.mark.parametrize("summary", [IRRELEVANT, SummaryWriter().write(["类别=标签,文本=A1"])])
def test_what_is_written_is_a_summary_of_the_contract(summary):
    row = {"images": ["a.jpg"], "width": 4, "height": 4, "summary": summary}
    assert validate_as("summary", row, source=Source("rows.jsonl", 1)) == []


@pytest.mark.parametrize(("descs", "message"), [([], "at least one object"), (["a", "  "], r"objects\[1\]\.desc")])
def test_objects_without_words_cannot_be_summed_up(descs, message):
    with pytest.raises(ValueError, match=message):
        SummaryWriter().write(descs)


@pytest.mark.parametrize(
    "words",
    [{"statistics_word": "备注"}, {"groups_word": ""}, {"category_word": ""}, {"count_word": "类别"}],
)
def test_keys_that_would_hide_each_other_are_refused(words):
    with pytest.raises(ConfigError, match="word"):
        SummaryWriter(**words)


def test_an_attribute_with_the_name_of_a_key_is_told():
    with pytest.raises(ConfigError, match=r"category 'cable' has an attribute '类别'.*choose another"):
        SummaryWriter().write(["type=cable,类别=x"])
