from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from qvl.errors import ConfigError
from qvl.prompts import DomainPack, PromptScheme

CONF = Path(__file__).parents[2] / "conf" / "prompts"
LANGUAGES = ["en", "zh"]


def test_texts_are_given_as_they_are():
    scheme = PromptScheme(user=" U\n", system="S", image_label="image")
    assert (scheme.user, scheme.system, scheme.image_label) == (" U\n", "S", "image")


def test_the_defaults_are_no_system_prompt_and_the_chinese_label():
    assert (PromptScheme(user="U").system, PromptScheme(user="U").image_label) == ("", "图片")


@pytest.mark.parametrize("data", ["列出\n所有\n\n", "\ufeff列出\n所有", "列出\r\n所有\r\n"])
def test_a_file_replaces_the_text(tmp_path, data):
    path = tmp_path / "prompt.txt"
    path.write_bytes(data.encode())
    scheme = PromptScheme(user="U", user_file=str(path), system_file=str(path))
    assert (scheme.user, scheme.system) == ("列出\n所有", "列出\n所有")


@pytest.mark.parametrize("key", ["user_file", "system_file"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, key):
    with pytest.raises(ConfigError, match=rf"prompts\.{key}: cannot read .*missing\.txt: No such file"):
        PromptScheme(user="U", **{key: str(tmp_path / "missing.txt")})
    with pytest.raises(ConfigError, match=rf"prompts\.{key}: cannot read"):
        PromptScheme(user="U", **{key: str(tmp_path)})


def test_a_file_in_another_encoding_is_named(tmp_path):
    path = tmp_path / "latin1.txt"
    path.write_bytes("für".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"user_file: .*latin1\.txt is not UTF-8: byte 2"):
        PromptScheme(user="U", user_file=str(path))


@pytest.mark.parametrize("key", ["user", "system"])
@pytest.mark.parametrize("token", ["<image>", "<|im_end|>", "<think>", "<|x|>"])
def test_special_tokens_are_refused_in_texts_and_files(tmp_path, key, token):
    with pytest.raises(ConfigError, match=rf"prompts\.{key}: .*act on"):
        PromptScheme(**({"user": "U"} | {key: f"a {token} b"}))
    path = tmp_path / "prompt.txt"
    path.write_text(token)
    with pytest.raises(ConfigError, match=rf"prompts\.{key}_file: .*act on"):
        PromptScheme(user="U", **{f"{key}_file": str(path)})


@pytest.mark.parametrize("changes", [{"user": ""}, {"user": " \n"}, {"system": "\ud800"}])
def test_texts_that_cannot_be_a_prompt_are_refused(changes):
    with pytest.raises(ConfigError, match=r"prompts\."):
        PromptScheme(**({"user": "U"} | changes))


@pytest.mark.parametrize("label", ["", " ", "object", "图片_", "image1", "<image>", "a b", '"'])
def test_a_label_that_could_not_be_read_back_is_refused(label):
    with pytest.raises(ConfigError, match=r"prompts\.image_label"):
        PromptScheme(user="U", image_label=label)


def test_a_text_by_language_is_taken_in_the_language():
    texts = {"en": "list", "zh": "列出"}
    assert [PromptScheme(user=texts, system=texts, language=language).user for language in texts] == ["list", "列出"]
    assert PromptScheme(user=texts, system="S", language="zh").system == "S"


def test_a_language_without_a_text_is_told_with_those_that_have_one():
    with pytest.raises(ConfigError, match=r"^prompts\.user: .*prompts\.language=fr; there are: en, zh$"):
        PromptScheme(user={"en": "list", "zh": "列出"}, language="fr")


@pytest.mark.parametrize("text", [3, None, {"en": 3}, ["list"]])
def test_what_is_no_text_is_told(text):
    with pytest.raises(ConfigError, match=r"^prompts\.user: "):
        PromptScheme(user=text)


def test_what_a_domain_knows_goes_behind_the_system_prompt(tmp_path):
    domain = DomainPack(hints={"en": "H", "zh": "提示"})
    path = tmp_path / "prompt.txt"
    path.write_text("F\n")
    assert PromptScheme(user="U", system="S", domain=domain).system == "S\n\nH"
    assert PromptScheme(user="U", domain=domain, language="zh").system == "提示"
    assert PromptScheme(user="U", system_file=str(path), domain=domain).system == "F\n\nH"
    assert PromptScheme(user="U", system="S", domain=DomainPack()).system == "S"


def test_special_tokens_in_a_domain_are_refused():
    with pytest.raises(ConfigError, match=r"^prompts\.domain: .*act on <image>"):
        PromptScheme(user="U", domain=DomainPack(hints="a <image>"))


def schemes():
    found = sorted(CONF.glob("scheme_*.yaml"))
    assert len(found) >= 2
    return found


def load(path):
    """Return a scheme as its file says it, without the group that it chooses from."""
    node = OmegaConf.load(path)
    assert node.pop("defaults") == [{"domain": "generic"}, "_self_"]
    return node


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", schemes(), ids=lambda path: path.stem)
def test_shipped_schemes_name_the_format_in_few_characters(path, language):
    scheme = instantiate(load(path), language=language)
    text = scheme.system + scheme.user
    assert len(text) < {"scheme_a": 350, "scheme_b": 1200}[path.stem]
    words = ["object_1", "图片_1", "bbox_2d", "poly", "line", "desc", "0..1000"]
    rules = {"en": ["clockwise", "key=value"], "zh": ["顺时针", "key=value"]}[language]
    for word in {"scheme_a": words, "scheme_b": [*words, *rules]}[path.stem]:  # a is the format, b adds the rules
        assert word in text
    assert path.read_text(encoding="utf-8").startswith("# Scheme ")


def test_the_built_in_model_is_asked_in_the_words_it_was_trained_on():
    scheme = instantiate(load(CONF / "scheme_a.yaml"))
    assert scheme.system == "You annotate pictures. Answer with one line of JSON only."
    assert scheme.user == (
        'List every object: {"object_1": {"desc": "...", "bbox_2d": [x1, y1, x2, y2]}, ...}. '
        'Shapes: bbox_2d, poly or line, integers 0..1000. Several pictures: {"图片_1": {...}, ...}.'
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", schemes(), ids=lambda path: path.stem)
def test_the_label_of_a_shipped_scheme_is_the_one_in_its_text(path, language):
    scheme = instantiate(load(path), image_label="image", language=language)
    assert '{"image_1": {' in scheme.user
    assert "图片_1" not in scheme.user


@pytest.mark.parametrize("path", schemes(), ids=lambda path: path.stem)
def test_shipped_schemes_have_all_keys_of_the_class(path):
    keys = ["_target_", "_convert_", "language", "system", "user", "image_label", "user_file", "system_file"]
    assert list(load(path)) == keys
    assert [list(load(path)[key]) for key in ("system", "user")] == [LANGUAGES, LANGUAGES]
