from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from qvl.errors import ConfigError
from qvl.prompts import PromptScheme

CONF = Path(__file__).parents[2] / "conf" / "prompts"


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


def schemes():
    found = sorted(CONF.glob("scheme_*.yaml"))
    assert len(found) >= 2
    return found


@pytest.mark.parametrize("path", schemes(), ids=lambda path: path.stem)
def test_shipped_schemes_name_the_format_in_few_characters(path):
    scheme = instantiate(OmegaConf.load(path))
    text = scheme.system + scheme.user
    assert len(text) < {"scheme_a": 350, "scheme_b": 1200}[path.stem]
    words = ["object_1", "图片_1", "bbox_2d", "poly", "line", "desc", "0..1000"]
    for word in {"scheme_a": words, "scheme_b": [*words, "clockwise"]}[path.stem]:  # a is the format, b adds the rules
        assert word in text
    assert path.read_text().startswith("# Scheme ")


@pytest.mark.parametrize("path", schemes(), ids=lambda path: path.stem)
def test_the_label_of_a_shipped_scheme_is_the_one_in_its_text(path):
    scheme = instantiate(OmegaConf.load(path), image_label="image")
    assert '{"image_1": {' in scheme.user
    assert "图片" not in scheme.user


@pytest.mark.parametrize("path", schemes(), ids=lambda path: path.stem)
def test_shipped_schemes_have_all_keys_of_the_class(path):
    keys = ["_target_", "_convert_", "system", "user", "image_label", "user_file", "system_file"]
    assert list(OmegaConf.load(path)) == keys
