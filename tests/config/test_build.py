"""What the configuration may build, what it may not, and that nothing foreign is imported on the way."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from qvl.build import build, check_targets
from qvl.errors import ConfigError

COMPOSE = "qvl.augmentation.Compose"
KEEP = "qvl.data.KeepAll"


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that writes a file when it is imported, and again when it is called."""
    (tmp_path / "foreign_canary.py").write_text(
        "from pathlib import Path\n"
        f"Path({str(tmp_path)!r}, 'imported').touch()\n"
        "class Canary:\n"
        "    def __init__(self, **values):\n"
        "        self.values = values\n"
        "def shout(**values):\n"
        f"    Path({str(tmp_path)!r}, 'called').touch()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("foreign_canary", None)


FOREIGN: dict[str, Any] = {
    "at the top": {"_target_": "foreign_canary.Canary"},
    "nested": {"_target_": COMPOSE, "transforms": {"x": {"_target_": "foreign_canary.shout"}}},
    "in a list": [{"_target_": KEEP}, {"_target_": "foreign_canary.shout"}],
    "partial": {"_target_": "foreign_canary.shout", "_partial_": True},
    "positional": {"_target_": KEEP, "_args_": [{"_target_": "foreign_canary.shout"}]},
    "in a plain mapping": {"a": {"b": [[{"_target_": "foreign_canary.shout"}]]}},
    "interpolated": {"name": "foreign_canary.shout", "x": {"_target_": "${name}"}},
    "made by a resolver": {"x": "${oc.create:{_target_:foreign_canary.shout}}"},
    "switched off": {"_target_": KEEP, "_recursive_": False, "x": {"_target_": "foreign_canary.shout"}},
}


@pytest.mark.parametrize("place", FOREIGN)
def test_a_foreign_target_is_refused_before_it_is_imported(place: str, foreign: Path) -> None:
    for node in (FOREIGN[place], OmegaConf.create(FOREIGN[place])):
        if not OmegaConf.is_config(node) and "${" in str(node):
            continue
        with pytest.raises(ConfigError, match="foreign_canary"):
            build(node)
        with pytest.raises(ConfigError, match="foreign_canary"):
            check_targets(node)
    assert not (foreign / "imported").exists()
    assert not (foreign / "called").exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "qvl.data.dataset.JsonlDataset",  # four parts
        "qvl.JsonlDataset",  # two parts
        "qvl.data.check_all",  # a function
        "qvl.build.build",  # a module, and a way around
        "qvl.command.compose",
        "qvl.errors.ConfigError",  # no package
        "qvl.data._Hidden",
        "qvl.data.Path",  # imported there, not exported
        "qvl.data.JsonlDataset.check",
        "qvl..data.KeepAll",
        "qvl.data.KeepAll ",
        "qvl.data.KeepAll\n",
        "Qvl.data.KeepAll",
        "",
        None,
        3,
        ["qvl.data.KeepAll"],
    ],
)
def test_only_exported_classes_of_a_qvl_package_are_allowed(target: object) -> None:
    with pytest.raises(ConfigError, match=r"x\._target_"):
        check_targets({"x": {"_target_": target}})


@pytest.mark.parametrize(
    ("node", "meant"),
    [
        ({"_target_": "qvl.data.KeepAl"}, "did you mean KeepAll"),
        ({"_target_": "qvl.dat.KeepAll"}, "did you mean data"),
        ({"_target_": COMPOSE, "transforms": {}, "pp": 1.0}, "did you mean p"),
        ({"_target_": COMPOSE, "transforms": {}, "q": 1.0}, "there are: transforms, p"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(node: dict[str, Any], meant: str) -> None:
    with pytest.raises(ConfigError, match=meant):
        check_targets({"x": node})


def test_a_trusted_target_is_built(foreign: Path) -> None:
    node = {"_target_": "foreign_canary.Canary", "a": [1, {"b": 2}]}
    assert build(node, trusted=["foreign_canary.Canary"]).values == {"a": [1, {"b": 2}]}
    with pytest.raises(ConfigError, match="refused"):
        build(node, trusted=["foreign_canary.shout", "foreign_canary"])


def test_a_trusted_target_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere_at_all\.Thing"):
        build({"_target_": "nowhere_at_all.Thing"}, trusted=["nowhere_at_all.Thing"])


def test_nodes_become_objects_and_the_rest_plain_values() -> None:
    cfg = OmegaConf.create({"p": 0.5, "a": {"_target_": COMPOSE, "transforms": {}, "p": "${p}"}, "b": [1, {"c": None}]})
    built = build(cfg)
    assert built["a"].p == 0.5
    assert type(built["a"].transforms) is dict
    assert built["b"] == [1, {"c": None}]
    assert type(built["b"]) is list


def test_no_node_builds_nothing() -> None:
    assert build(None) is None
    assert build({}) == {}


@dataclasses.dataclass(frozen=True)
class Value:
    """A dataclass, which Hydra would turn into a mapping if it got hold of it."""

    number: int


def test_run_time_arguments_reach_the_class_as_they_are(foreign: Path) -> None:
    value, table = Value(3), {"a": Value(4)}
    built = build(
        OmegaConf.create({"_target_": "foreign_canary.Canary", "x": 1}),
        trusted=["foreign_canary.Canary"],
        value=value,
        table=table,
    )
    assert built.values["value"] is value
    assert built.values["table"] is table
    assert built.values["x"] == 1


def test_a_run_time_argument_may_not_stand_in_the_config_too() -> None:
    with pytest.raises(ConfigError, match="comes from the program"):
        build({"_target_": COMPOSE, "transforms": {}}, transforms={})
    with pytest.raises(ConfigError, match="need a node with a _target_"):
        build({"a": 1}, p=1.0)


def test_a_value_that_a_class_refuses_is_told_with_its_key() -> None:
    with pytest.raises(ConfigError, match=r"a: p must be a number in \[0, 1\], got 3"):
        build({"a": {"_target_": COMPOSE, "transforms": {}, "p": 3}})
    with pytest.raises(ConfigError, match=r"Compose: p must be a number in \[0, 1\], got 3"):
        build({"_target_": COMPOSE, "transforms": {}}, p=3)


def test_an_error_of_qvl_comes_through_unchanged() -> None:
    with pytest.raises(ConfigError, match=r"^prompts.user: the user prompt is blank$"):
        build({"x": {"_target_": "qvl.prompts.PromptScheme", "user": ""}})


def test_a_text_is_not_interpolated_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QVL_TEXT", "${oc.create:{_target_:os.system}}")
    cfg = OmegaConf.create({"_target_": COMPOSE, "transforms": {"x": "${oc.env:QVL_TEXT}"}})
    with pytest.raises(ConfigError, match=r"transforms\.x"):
        build(cfg)
