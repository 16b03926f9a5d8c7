"""Secrets are masked, and nothing else is."""

from __future__ import annotations

import time

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.runtime import redact_arguments, redact_text, redact_yaml, secret_values
from qvl.runtime.redaction import is_secret_name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "token",
            "hub_token",
            "hub.hf-token",
            "HF_TOKEN",
            "apiKey",
            "OPENAI_API_KEY",
            "aws_access_key_id",
            "--password",
        ),
        *("swanlab_secret", "db_pass", "clientSecret", "ssh_private_key", "auth_tokens", "Authorization", "api_keys"),
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("eos_token", "image_token_id", "pad_token", "max_new_tokens", "tokenizer", "special_tokens", "num_tokens"),
        *(
            "key",
            "sort_key",
            "keys",
            "passes",
            "bypass_checks",
            "compass",
            "modules_to_save",
            "path",
            "",
            "42",
            "monkey",
        ),
    ],
)
def test_ordinary_names_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_values_of_the_environment_count_from_six_characters_on() -> None:
    environ = {
        "HF_TOKEN": "abcdef",
        "my_secret_thing": "abcdefgh",
        "TOKENIZERS_PARALLELISM": "false",  # would mask every false
        "SSH_KEY_COUNT": "12",
        "PASSWORD": "",
        "HOME": "/home/somebody",
    }
    assert secret_values(environ) == ("abcdefgh", "abcdef")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("token=abc", "token=<redacted>"),
        ('{"password": "a b", "user": "ada"}', '{"password": <redacted>, "user": "ada"}'),
        ("https://host/?token=abc&size=3", "https://host/?token=<redacted>&size=3"),
        ("https://user:pass@host/", "https://<redacted>@host/"),
        ("log in with hf_" + "a1" * 15, "log in with <redacted>"),
        ("type=device,brand=a", "type=device,brand=a"),
        ("risk-assessment-of-the-second-stage", "risk-assessment-of-the-second-stage"),
        ("use_token: true", "use_token: true"),
        ("token:\n  next: 1", "token:\n  next: 1"),
    ],
)
def test_text_loses_its_secrets_only(text: str, clean: str) -> None:
    assert redact_text(text, ()) == clean
    assert redact_text(clean, ()) == clean


def test_options_and_overrides_lose_their_values() -> None:
    arguments = ["--token", "abc", "--password", "--lr", "1e-4", "-k", "+hub.token='a b'", "a={api_key: x}", "seed=1"]
    assert redact_arguments(arguments, ()) == (
        *("--token", "<redacted>", "--password", "--lr", "1e-4", "-k", "+hub.token=<redacted>"),
        *("a={api_key: <redacted>}", "seed=1"),
    )


def test_yaml_without_secrets_keeps_every_character() -> None:
    text = "# a remark\na: '1e-5'\nb: 1e-5\nc: {token: null, d: [012, \"\\u4e2d\"]}\nuser: |\n  two\n  lines\n"
    assert redact_yaml(text, ()) == text
    assert redact_yaml("", ()) == ""


def test_yaml_loses_secrets_in_any_way_of_writing() -> None:
    text = (
        '# s3cret-v\na: "s3cret\\x2dv"\nb: >-\n  folded s3cret-v\n  text\ns3cret-v: 1\nc: &x\n  token: 12345\nd: *x\n'
        "password: |\n  two\n  lines\nlast: 1\n"
    )
    clean = redact_yaml(text, ["s3cret-v"])
    assert "s3cret" not in clean
    assert yaml.safe_load(clean) == {
        "a": "<redacted>",
        "b": "folded <redacted> text",
        "<redacted>": 1,
        "c": {"token": "<redacted>"},
        "d": {"token": "<redacted>"},
        "password": "<redacted>",
        "last": 1,
    }


def test_an_anchor_under_a_secret_name_hides_its_aliases() -> None:
    clean = yaml.safe_load(redact_yaml("token: &x abcdef s3cret-v\na: *x\nb: [&y {c: *x}, *y]\n", ["s3cret-v"]))
    assert clean == {"token": "<redacted>", "a": "<redacted>", "b": [{"c": "<redacted>"}] * 2}


@given(st.text(min_size=6, max_size=20).filter(lambda text: text.strip() == text and text.lower() not in "<redacted>"))
@settings(max_examples=50, deadline=None)
def test_a_secret_of_any_characters_is_found_in_yaml(secret: str) -> None:
    clean = yaml.safe_load(redact_yaml(yaml.dump({"a": secret, "b": ["x" + secret + "y"], "c": 1}), [secret]))
    assert clean == {"a": "<redacted>", "b": ["x<redacted>y"], "c": 1}


def test_long_text_takes_no_long_time() -> None:
    start = time.perf_counter()
    for text in ("a" * 100_000, "a-" * 50_000, "token" * 20_000, "token=" * 20_000, "://" * 30_000):
        redact_text(text, ())
    assert time.perf_counter() - start < 5
