"""The reference page says what conf/ says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from qvl.schema import ConfigFiles, config_dir

SCRIPT = Path(__file__).parents[2] / "docs" / "generate_config_reference.py"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_config_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    module = script()
    written = module.PAGE.read_text(encoding="utf-8")
    assert written == module.render(ConfigFiles(config_dir())), "run python docs/generate_config_reference.py"


def test_the_page_has_every_choice_and_every_key() -> None:
    files = ConfigFiles(config_dir())
    page = script().render(files)
    configs = [config for config in files.configs() if "/" in config]
    assert len(configs) > 20
    for config in configs:
        assert f"### {'='.join(config.rsplit('/', 1))}" in page
        for note in files.notes(config).values():
            assert note.key.partition(".")[0] in page
    assert "| `training.learning_rate` | `1.0e-4` | of the language model" in page
