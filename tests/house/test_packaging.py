"""The wheel holds all that is needed, and works where the repository is not."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
TINY = REPO / "qvl/models/tiny_checkpoint"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(REPO))
    (path,) = folder.glob("qvl-*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


def run(*command: str, cwd: Path | None = None, path: Path | None = None) -> str:
    """Run a command with one folder on the path for modules, and return what it wrote."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "WORLD_SIZE")}
    environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    if path is not None:
        environ["PYTHONPATH"] = str(path)
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environ, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_holds_every_module_and_every_config(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    modules = {path.relative_to(REPO).as_posix() for path in (REPO / "qvl").rglob("*.py")}
    configs = {f"qvl/{path.relative_to(REPO).as_posix()}" for path in (REPO / "conf").rglob("*.yaml")}
    weights = {path.relative_to(REPO).as_posix() for path in TINY.rglob("*") if path.is_file()}
    launcher = {
        path.relative_to(REPO / "launchers").as_posix()
        for path in (REPO / "launchers/hydra_plugins").rglob("*")
        if path.suffix in (".py", ".yaml")
    }
    assert "qvl/conf/train.yaml" in configs
    assert len(launcher) > 10
    assert len(configs) > 20
    assert (modules | configs | weights | launcher) - names == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        tops = {name.split("/")[0] for name in file.namelist()}
        licences = [name for name in file.namelist() if name.endswith("LICENSE")]
    assert {top for top in tops if not top.endswith(".dist-info")} <= {"qvl", "hydra_plugins"}
    assert licences


def test_the_installed_verb_composes_its_own_configuration(site: Path, tmp_path: Path) -> None:
    place = run(
        sys.executable, "-c", "from qvl.schema import config_dir; import sys; sys.stdout.write(str(config_dir()))",
        cwd=tmp_path, path=site,
    )  # fmt: skip
    assert Path(place) == site / "qvl/conf"
    job = run(sys.executable, "-m", "qvl.train", "recipe=stage2_lora", "--cfg", "job", cwd=tmp_path, path=site)
    assert "tuner_type: lora" in job
    assert [*tmp_path.iterdir()] == [], "showing a configuration leaves nothing behind"


def test_hydra_finds_the_installed_launcher(site: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path = [path for path in sys.path if not path.endswith('launchers')]\n"
        "from hydra.core.plugins import Plugins\n"
        "from hydra.plugins.launcher import Launcher\n"
        "found = [item for item in Plugins.instance().discover(Launcher) if item.__name__ == 'TorchrunLauncher']\n"
        "sys.stdout.write(sys.modules[found[0].__module__].__file__)\n"
    )
    place = run(sys.executable, "-c", code, cwd=tmp_path, path=site)
    assert Path(place).is_relative_to(site)
    job = run(sys.executable, "-m", "qvl.train", "--cfg", "hydra", cwd=tmp_path, path=site)
    assert "check: qvl.command:check_job" in job


def test_the_console_scripts_start(site: Path, tmp_path: Path) -> None:
    (entries,) = site.glob("qvl-*.dist-info/entry_points.txt")
    parser = ConfigParser()
    parser.read(entries)
    scripts = [*parser["console_scripts"]]
    assert "qvl-train" in scripts
    for script in scripts:
        verb = script.removeprefix("qvl-")
        assert parser["console_scripts"][script] == f"qvl.{verb}:cli"
        shown = run(sys.executable, str(site / "bin" / script), "--help", cwd=tmp_path, path=site)
        assert f"qvl.{verb}" in shown
