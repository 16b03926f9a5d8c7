"""Front end of every verb: reads the command line, checks the configuration and tells errors in short words."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml  # type: ignore[import-untyped]
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, OverrideParseException, SearchPathException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from qvl.build import target_problems
from qvl.errors import ConfigError, QvlError
from qvl.schema import (
    ConfigFiles,
    Origins,
    TrainConfig,
    config_dir,
    explain,
    find_problems,
    find_strange_keys,
    reason,
    register_schema,
    tell,
)

__all__ = ["compose", "run", "tidy"]

APPENDED = ("recipe", "debug")
"""Groups that are no part of the defaults list; the later of the two wins over the earlier."""

REFUSED_OPTIONS = {
    "--base_config": "a recipe is chosen as recipe=NAME",
    "--config-path": "--config-dir FOLDER adds a folder of your own configs",
    "--config": "a recipe is chosen as recipe=NAME; --config-dir FOLDER adds a folder of your own configs",
    "--debug": "add debug=fast",
    "--experimental-rerun": "it would load a pickle; run the same command again",
    "--verbose": "add hydra.verbose=true",
    "-cp": "--config-dir FOLDER adds a folder of your own configs",
}
CONFIG_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError)
"""What composing a faulty configuration raises."""

JOB_CONFIG_ERRORS = (ConfigCompositionException, OverrideParseException, SearchPathException, yaml.YAMLError)
"""The part of it that a verb itself would not raise."""


def run(main: Callable[[Any], object], *, config_name: str, schema: type = TrainConfig) -> None:
    """Run a verb from the command line; exit with 2 for a faulty configuration, with 1 for another error of qvl.

    With HYDRA_FULL_ERROR=1 in the environment errors come with their traceback instead.

    Args:
        main: Takes the composed and checked configuration.
        config_name: Primary config, such as train for conf/train.yaml.
        schema: Dataclass of the root configuration.
    """
    register_schema(schema, name=config_name)
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        _run(main, config_name)
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors to us instead of printing them
    try:
        _run(_stop_on_error(main), config_name)
    except QvlError as error:
        _stop(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None
    finally:
        del os.environ["HYDRA_FULL_ERROR"]


def compose(overrides: Sequence[str], *, config_name: str = "train", folder: Path | None = None) -> DictConfig:
    """Compose and check a configuration as the command line would.

    Args:
        overrides: As typed, such as ["recipe=stage2_lora", "seed=1"].
        config_name: Primary config; its schema has been registered.
        folder: A folder of further configs, as for --config-dir.

    Returns:
        The configuration without Hydra's own node.

    Raises:
        ConfigError: It cannot be composed, or something in it cannot work; all findings, one a line.
    """
    folders = _folders(folder)
    files = ConfigFiles(*folders, root=config_name)
    typed = tidy(overrides)
    search = [f"hydra.searchpath=[{','.join(f'file://{path}' for path in folders[1:])}]"] if folder else []
    try:
        with hydra.initialize_config_dir(str(folders[0]), version_base="1.3"):
            cfg: DictConfig = hydra.compose(config_name, overrides=[*search, *typed], return_hydra_config=True)
    except CONFIG_ERRORS as error:
        raise ConfigError(explain(error, files)) from error
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    _check(cfg, files, choices=choices, typed=typed)
    return cfg


def tidy(overrides: Sequence[str]) -> list[str]:
    """Bring overrides into the form that Hydra wants.

    `recipe=x` and `debug=x` become `+recipe=x` and `+debug=x` and go to the front, the debug choice after the recipe,
    because what is appended later wins; `training.extra.x=1` becomes `++training.extra.x=1`.

    Raises:
        ConfigError: A recipe or a debug choice is given twice.
    """
    appended = {group: [text for text in overrides if _key(text) == group] for group in APPENDED}
    for group, texts in appended.items():
        if len(texts) > 1:
            raise ConfigError(f"command line: {group} is given {len(texts)} times ({', '.join(texts)}); choose one")
    front = [f"+{text.lstrip('+')}" for texts in appended.values() for text in texts]
    rest = [text for text in overrides if _key(text) not in APPENDED]
    return [*front, *(f"++{text}" if text.startswith("training.extra.") else text for text in rest)]


def _folders(added: Path | None) -> list[Path]:
    if added is None:
        return [config_dir()]
    if not added.is_dir():
        raise ConfigError(f"command line: --config-dir {added}: there is no such folder")
    return [config_dir(), added.resolve()]


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _run(main: Callable[[Any], object], config_name: str) -> None:
    args = _read_arguments(sys.argv[1:])
    overrides = [*tidy(args.overrides), *(["hydra.mode=MULTIRUN"] if args.multirun else [])]
    sys.argv[1:] = [*(text for text in sys.argv[1:] if text not in args.overrides), *overrides]
    decorate = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=config_name)
    if args.shell_completion:
        os.environ["COMP_LINE"] = _complete_line(os.environ.get("COMP_LINE", ""))
    only_shows = bool(args.help or args.hydra_help or args.cfg or args.info or args.shell_completion)
    folder = Path(args.config_dir) if args.config_dir else None
    files = ConfigFiles(*_folders(folder), root=config_name)
    if not only_shows and "hydra.mode=MULTIRUN" not in overrides:
        _check_ranks(overrides)
        compose(overrides, config_name=args.config_name or config_name, folder=folder)
        decorate(main)()
        return
    expected = CONFIG_ERRORS if only_shows else JOB_CONFIG_ERRORS
    try:
        decorate(_check_first(main, config_name))()
    except expected as error:
        raise ConfigError(explain(error, files)) from error


def _read_arguments(argv: Sequence[str]) -> argparse.Namespace:
    for text in argv:
        option = text.partition("=")[0]
        if option in REFUSED_OPTIONS:
            raise ConfigError(f"command line: there is no option {option}: {REFUSED_OPTIONS[option]}")
    parser: argparse.ArgumentParser = get_args_parser()
    parser.usage = "%(prog)s [--cfg job] [--help] [-m] [group=choice ...] [key=value ...]"
    return parser.parse_intermixed_args(list(argv))


def _check_ranks(overrides: Sequence[str]) -> None:
    """Refuse to give every rank of one training a run folder of its own."""
    if _world_size() > 1 and not any(_key(text) == "hydra.run.dir" for text in overrides):
        raise ConfigError(
            f"command line: {_world_size()} ranks were started and each would make a run folder of its own; "
            f"add hydra.run.dir=multirun_outputs/NAME"
        )


def _world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _complete_line(line: str) -> str:
    """Give the finished words of a line under completion the form that Hydra wants."""
    *finished, last = line.split(" ")
    return " ".join([*(f"+{word}" if _key(word) in APPENDED and word[0] != "+" else word for word in finished), last])


def _stop_on_error(main: Callable[[Any], object]) -> Callable[[Any], object]:
    """Wrap a verb so that an error of qvl ends a single run at once, without Hydra's words around it."""

    @functools.wraps(main)
    def task(cfg: DictConfig) -> object:
        try:
            return main(cfg)
        except QvlError as error:
            if HydraConfig.get().mode == RunMode.RUN:
                _stop(error)
            raise

    return task


def _check_first(main: Callable[[Any], object], config_name: str) -> Callable[[Any], object]:
    """Wrap a verb so that every job of a sweep is checked before it starts."""

    @functools.wraps(main)
    def task(cfg: DictConfig) -> object:
        job = HydraConfig.get()
        typed = [str(text) for text in job.overrides.task]
        folders = [Path(source.path) for source in job.runtime.config_sources if source.schema == "file"]
        files = ConfigFiles(*folders, root=config_name)
        _check(cfg, files, choices=dict(job.runtime.choices), typed=typed)
        return main(cfg)

    return task


def _check(cfg: DictConfig, files: ConfigFiles, *, choices: Mapping[str, object], typed: Sequence[str]) -> None:
    """Raise a ConfigError that lists what is wrong with a composed configuration, each with its place on a line."""
    given = OverridesParser.create().parse_overrides(list(typed))
    keys = [override.key_or_group for override in given if not files.is_group(override.key_or_group)]
    values = [override.value() for override in given if override.key_or_group == "trusted_targets"]
    trusted = [str(name) for names in values if isinstance(names, list) for name in names]
    origins = Origins(files, choices=choices, typed=keys)
    try:
        lines = find_strange_keys(cfg, origins, files=files, trusted=trusted)
        if not lines:
            problems = [*target_problems(cfg, trusted=trusted), *find_problems(cfg, world_size=_world_size())]
            lines = [tell(key, message, origins) for key, message in problems]
    except OmegaConfBaseException as error:
        raise ConfigError(tell(error.full_key or "", reason(error), origins)) from error
    if lines:
        raise ConfigError("\n".join(lines))


def _stop(error: QvlError) -> NoReturn:
    lines = str(error).splitlines()
    head = f"error: {lines[0]}" if len(lines) == 1 else f"error: {len(lines)} findings"
    sys.stderr.write("\n  ".join([head, *lines[len(lines) == 1 :]]) + "\n")
    raise SystemExit(2 if isinstance(error, ConfigError) else 1) from error
