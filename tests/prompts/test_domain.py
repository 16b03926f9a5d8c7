import pytest

from qvl.errors import ConfigError
from qvl.prompts import DomainPack

CATEGORIES = {"标签": {"文本": [], "颜色": ["黄", "白"]}, "门": {}}


def test_nothing_known_is_no_text():
    assert DomainPack().text("en") == ""
    assert DomainPack(intro=" ", categories={}, hints="\n").text("zh") == ""


def test_a_category_is_a_line_with_its_attributes_and_their_values():
    pack = DomainPack(intro="I\n", categories=CATEGORIES, hints="H1\nH2")
    assert pack.text("en") == "I\n- 标签: 文本=...; 颜色=黄/白\n- 门\nH1\nH2"
    assert pack.categories == CATEGORIES


def test_the_words_of_the_data_are_the_same_in_every_language():
    pack = DomainPack(intro={"en": "see", "zh": "见"}, categories=CATEGORIES)
    english, chinese = pack.text("en").splitlines(), pack.text("zh").splitlines()
    assert (english[0], chinese[0]) == ("see", "见")
    assert english[1:] == chinese[1:]


@pytest.mark.parametrize("key", ["intro", "hints"])
def test_a_part_that_is_not_there_in_the_language_is_named(key):
    with pytest.raises(ConfigError, match=rf"^prompts\.domain\.{key}: .*language=zh; there are: en"):
        DomainPack(**{key: {"en": "x"}}).text("zh")


@pytest.mark.parametrize(
    ("categories", "place"),
    [
        ({"门": ["a"]}, "门: expected attributes"),
        ({"门": {"色": "红"}}, r"门\.色: expected a list"),
        ({"门": {"色": [1]}}, r"门\.色: expected a list"),
    ],
)
def test_categories_of_another_form_are_told(categories, place):
    with pytest.raises(ConfigError, match=rf"^prompts\.domain\.categories\.{place}"):
        DomainPack(categories=categories)
