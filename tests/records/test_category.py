import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.records import attributes, category


@pytest.mark.parametrize(
    ("desc", "expected"),
    [
        ("type=device,brand=a", "device"),
        ("type=device, state=on", "device"),
        ("类别=标签,文本=x", "标签"),
        ("type = device , state=on", "device"),
        ("type=a=b,c=d", "a=b"),  # only the first = separates
        ("BBU设备/华为,只显示部分", "BBU设备"),
        ("road, primary, 3 lanes", "road"),
        ("red circle", "red circle"),
        ("road, lanes=2", "road"),  # the key=value token is not in front
        ("type=,brand=a", "type="),  # no value to return
        ("=x", "=x"),
        (",x", ",x"),
        ("/x", "/x"),
    ],
)
def test_category_is_what_a_description_begins_with(desc, expected):
    assert category(desc) == expected


@given(st.text().filter(str.strip))
def test_a_description_always_has_a_category(desc):
    assert category(desc).strip()


@pytest.mark.parametrize(
    ("desc", "expected"),
    [
        ("type=device, brand=a", {"type": "device", "brand": "a"}),
        ("类别=标签,文本=a=b", {"类别": "标签", "文本": "a=b"}),
        ("type=a,type=b", {"type": "a"}),
        ("road, lanes=2", {"lanes": "2"}),
        ("road, primary", {}),
        ("=x,y=", {"y": ""}),
        ("", {}),
    ],
)
def test_attributes_are_the_key_value_tokens(desc, expected):
    assert attributes(desc) == expected
