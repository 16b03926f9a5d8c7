"""Schemes and domains are chosen apart from each other, and keys of both are told where they stand."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from qvl.build import build
from qvl.command import compose
from qvl.errors import ConfigError
from qvl.schema import ConfigFiles, Origins, config_dir, register_schema

FILES = ConfigFiles(config_dir())
SCHEMES = FILES.choices("prompts")
DOMAINS = FILES.choices("prompts/domain")


@pytest.fixture(autouse=True)
def _schema() -> None:
    register_schema()


@pytest.mark.parametrize(("scheme", "domain"), list(itertools.product(SCHEMES, DOMAINS)))
def test_every_scheme_goes_with_every_domain_and_language(scheme: str, domain: str) -> None:
    node = OmegaConf.to_container(compose([f"prompts={scheme}", f"prompts/domain={domain}"]).prompts, resolve=True)
    assert isinstance(node, dict)
    for language, opening in {"en": "The pictures are", "zh": "图片是"}.items():
        both, alone = (build({**node, **changes, "language": language}) for changes in ({}, {"domain": None}))
        assert both.user == alone.user
        assert both.system.startswith(alone.system)
        added = both.system.removeprefix(alone.system).strip()
        assert added.startswith(opening) if domain != "generic" else added == ""
        assert domain == "generic" or ("类别=" in added and 200 < len(added) < 2000)


def test_there_are_domains() -> None:
    assert {"generic", "bbu", "rru"} == set(DOMAINS)
    assert {"scheme_a", "scheme_b"} <= set(SCHEMES)


def test_one_text_for_all_languages_can_be_typed() -> None:
    prompts = build(compose(["prompts.system=S", "prompts/domain=rru", "prompts.domain.hints=H"]).prompts)
    assert prompts.system.startswith("S\n\nThe pictures are")
    assert prompts.system.endswith("\nH")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("prompts/domain=bbuu", "there is no prompts/domain=bbuu; did you mean bbu?"),
        ("prompts.domain.hnts=x", "there is no key prompts.domain.hnts; did you mean prompts.domain.hints?"),
        ("+prompts.domain.hnts=x", "qvl.prompts.DomainPack takes no hnts; did you mean hints?"),
        ("prompts.langage=zh", "there is no key prompts.langage; did you mean prompts.language?"),
    ],
)
def test_mistakes_are_told_with_what_was_meant(words: str, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        compose([words])
    assert message in str(told.value)


def test_a_recipe_wins_over_a_domain_that_a_scheme_chooses(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    recipe = "# @package _global_\nprompts:\n  domain:\n    hints: mine\n"
    (tmp_path / "recipe" / "mine.yaml").write_text(recipe, encoding="utf-8")
    choices = {"recipe": "mine", "prompts": "scheme_a", "prompts/domain": "bbu"}
    origins = Origins(ConfigFiles(config_dir(), tmp_path), choices=choices, typed=[])
    assert origins.place("prompts.domain.hints").endswith("recipe/mine.yaml:4")
    assert "prompts/domain/bbu.yaml:" in origins.place("prompts.domain.intro")
    assert compose(["recipe=mine", "prompts/domain=bbu"], folder=tmp_path).prompts.domain.hints == "mine"
