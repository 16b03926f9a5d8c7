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
from hydra.core.utils import env_override
from hydra.errors import ConfigCompositionException, HydraException, OverrideParseException, SearchPathException
from hydra.types import RunMode
from hydra_plugins.qvl_torchrun_launcher._errors import JobFailure, LauncherError
from hydra_plugins.qvl_torchrun_launcher._machine import AS_NVIDIA_SMI, ORDER
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from qvl.build import target_problems
from qvl.errors import ConfigError, QvlError
from qvl.schema import (
    ConfigFiles,
    Origins,
    Place,
    TrainConfig,
    config_dir,
    explain,
    find_machine_faults,
    find_missing_files,
    find_problems,
    find_strange_keys,
    reason,
    register_schema,
    tell,
)

__all__ = ["check_job", "compose", "given_keys", "run", "tidy"]

APPENDED = ("recipe", "debug", "hparams_search")
"""Groups that are no part of the defaults list; a later one wins over an earlier one."""

ASKING = ("evaluate", "infer")
"""Verbs that ask a model, and whose processes share that."""

ALONE = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""The launcher that runs all jobs in this process, and gives it no devices."""

ROWS = ".jsonl"

FREE = ("training.extra.", "labels.", "labels={")
"""Begin overrides below which any key may stand."""

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


def run(
    main: Callable[[Any], object],
    *,
    config_name: str,
    schema: type = TrainConfig,
    instead: Callable[[Any], bool] | None = None,
) -> None:
    """Run a verb from the command line; exit with 2 for a faulty configuration, with 1 for another error of qvl.

    With HYDRA_FULL_ERROR=1 in the environment errors come with their traceback instead.

    Args:
        main: Takes the composed and checked configuration.
        config_name: Primary config, such as train for conf/train.yaml.
        schema: Dataclass of the root configuration.
        instead: Is asked first where there is one run: does something else that the configuration asks for, without a
            folder of the run and without a launcher, and returns whether it did.
    """
    register_schema(schema, name=config_name)
    main = _on_nodes(main, f"qvl.{config_name}:main")
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        _run(main, config_name, instead)
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors to us instead of printing them
    try:
        _run(_stop_on_error(main), config_name, instead)
    except (QvlError, LauncherError, JobFailure) as error:
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
    return _compose(overrides, config_name, folder)[0]


def _compose(overrides: Sequence[str], config_name: str, folder: Path | None) -> tuple[DictConfig, Origins, Place]:
    """Compose and check a configuration; also return where its keys stand, and where it will run."""
    folders = _folders(folder)
    files = ConfigFiles(*folders, root=config_name)
    typed = tidy(overrides, config_name=config_name)
    search = [f"hydra.searchpath=[{','.join(f'file://{path}' for path in folders[1:])}]"] if folder else []
    try:
        with hydra.initialize_config_dir(str(folders[0]), version_base="1.3"):
            cfg: DictConfig = hydra.compose(config_name, overrides=[*search, *typed], return_hydra_config=True)
    except CONFIG_ERRORS as error:
        raise ConfigError(explain(error, files)) from error
    choices, place = dict(cfg.hydra.runtime.choices), _place(cfg.hydra)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, _check(cfg, files, choices=choices, typed=typed, world_size=_world_size()), place


def check_job(cfg: DictConfig, job: DictConfig, processes: int) -> None:
    """Check one job of a sweep before any device is taken.

    Args:
        cfg: Its configuration, without Hydra's own node.
        job: Hydra's own node.
        processes: Number of processes that it will have.

    Raises:
        ConfigError: Something in it cannot work, a file is missing, or the machine lacks something; one a line.
    """
    typed = [str(text) for text in job.overrides.task]
    folders = [Path(source.path) for source in job.runtime.config_sources if source.schema == "file"]
    files = ConfigFiles(*folders, root=job.job.config_name)
    origins = _check(cfg, files, choices=dict(job.runtime.choices), typed=typed, world_size=processes)
    _check_files(cfg, origins)
    _check_machine(cfg, origins, _place(job), verb=job.job.config_name)


def tidy(overrides: Sequence[str], *, config_name: str = "train") -> list[str]:
    """Bring overrides into the form that Hydra wants.

    `data=rows.jsonl` becomes `data=jsonl data.train.path=rows.jsonl`, without validation rows unless they are given.
    `recipe=x` and `debug=x` become `+recipe=x` and `+debug=x` and go to the front, the debug choice after the recipe,
    because what is appended later wins; `training.extra.x=1` becomes `++training.extra.x=1`, as all of FREE. Of
    the verbs ASKING `model=x` becomes `model.path=x`: any weights will do, there is nothing to choose from.

    Args:
        overrides: As typed.
        config_name: Primary config.

    Raises:
        ConfigError: A recipe or a debug choice is given twice.
    """
    appended = {group: [text for text in overrides if _key(text) == group] for group in APPENDED}
    for group, texts in appended.items():
        if len(texts) > 1:
            raise ConfigError(f"command line: {group} is given {len(texts)} times ({', '.join(texts)}); choose one")
    front = [f"+{text.lstrip('+')}" for texts in appended.values() for text in texts]
    rest = [text for text in overrides if _key(text) not in APPENDED]
    rest = [word for text in rest for word in _file_of_rows(text, overrides)]
    if config_name in ASKING:
        rest = [f"model.path={text.partition('=')[2]}" if _key(text) == "model" else text for text in rest]
    return [*front, *(f"++{text}" if text.startswith(FREE) else text for text in rest)]


def _file_of_rows(text: str, overrides: Sequence[str]) -> list[str]:
    """Return an override, or what a JSONL file in the place of a choice of `data` stands for."""
    key, _, value = text.partition("=")
    if key != "data" or not value.strip("'\"").endswith(ROWS):
        return [text]
    has_val = any(_key(other).startswith("data.val") for other in overrides)
    return ["data=jsonl", f"data.train.path={value}", *([] if has_val else ["data.val=null"])]


def _folders(added: Path | None) -> list[Path]:
    if added is None:
        return [config_dir()]
    if not added.is_dir():
        raise ConfigError(f"command line: --config-dir {added}: there is no such folder")
    return [config_dir(), added.resolve()]


def given_keys() -> set[str]:
    """Return the first parts of the keys that the command line of this process gives, such as `model`."""
    return {_key(text).partition(".")[0] for text in HydraConfig.get().overrides.task}


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _run(main: Callable[[Any], object], config_name: str, instead: Callable[[Any], bool] | None) -> None:
    args = _read_arguments(sys.argv[1:])
    overrides = [*tidy(args.overrides, config_name=config_name), *_mode(args.overrides, is_sweep=args.multirun)]
    sys.argv[1:] = [*(text for text in sys.argv[1:] if text not in args.overrides), *overrides]
    decorate = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=config_name)
    if args.shell_completion:
        os.environ["COMP_LINE"] = _complete_line(os.environ.get("COMP_LINE", ""))
    only_shows = bool(args.help or args.hydra_help or args.cfg or args.info or args.shell_completion)
    folder = Path(args.config_dir) if args.config_dir else None
    files = ConfigFiles(*_folders(folder), root=config_name)
    if not only_shows and config_name not in ASKING:
        _check_ranks(overrides)
    if not only_shows and not (args.multirun or _sweeps(overrides)):
        cfg, origins, place = _compose(overrides, args.config_name or config_name, folder)
        _check_files(cfg, origins)
        if instead is None or not instead(cfg):
            _check_machine(cfg, origins, place, verb=config_name, notes=not place.has_launcher)  # it asks again
            decorate(main)()
        return
    expected = CONFIG_ERRORS if only_shows else JOB_CONFIG_ERRORS
    try:
        decorate(_check_first(main))()
    except expected as error:
        raise ConfigError(explain(error, files)) from error


def _mode(overrides: Sequence[str], *, is_sweep: bool) -> list[str]:
    """Return what the command line says of the mode without saying it: who names the folder of a run wants one run."""
    keys = {_key(text) for text in overrides}
    if is_sweep:
        return ["hydra.mode=MULTIRUN"]
    return ["hydra.mode=RUN"] if "hydra.run.dir" in keys and "hydra.mode" not in keys else []


def _sweeps(overrides: Sequence[str]) -> bool:
    """Tell whether a key has several values; what cannot be read is left to the one who composes."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException:
        return False
    return any(override.is_sweep_override() for override in parsed)


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
            f"command line: {_world_size()} ranks were started and each would make a run folder of its own; start the "
            f"command without torchrun, or add hydra.run.dir=multirun_outputs/NAME"
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


def _on_nodes(main: Callable[[Any], object], name: str) -> Callable[[Any], object]:
    """Wrap a verb so that torchrun starts it where submitit has given it more than one device."""

    @functools.wraps(main)
    def task(cfg: DictConfig) -> object:
        from hydra_plugins.qvl_torchrun_launcher._jobs import Task
        from hydra_plugins.qvl_torchrun_launcher._node import run_on_node, this_node

        from qvl.runtime import redact_command

        node = this_node(os.environ)
        if node is None:
            with env_override({ORDER: os.environ.get(ORDER, AS_NVIDIA_SMI)}):  # of a launcher's job it is set already
                return main(cfg)
        check_job(cfg, HydraConfig.get(), node.count * node.processes)
        return run_on_node(node, Task(name), cfg, redact=redact_command)

    return task


def _check_first(main: Callable[[Any], object]) -> Callable[[Any], object]:
    """Wrap a verb so that every job of a sweep is checked before it starts, whatever its launcher does."""

    @functools.wraps(main)
    def task(cfg: DictConfig) -> object:
        check_job(cfg, HydraConfig.get(), _world_size())
        return main(cfg)

    return task


def _check(
    cfg: DictConfig, files: ConfigFiles, *, choices: Mapping[str, object], typed: Sequence[str], world_size: int
) -> Origins:
    """Return where the keys stand; raise a ConfigError that lists what is wrong, each with its place on a line."""
    given = OverridesParser.create().parse_overrides(list(typed))
    keys = [override.key_or_group for override in given if not files.is_group(override.key_or_group)]
    values = [override.value() for override in given if override.key_or_group == "trusted_targets"]
    trusted = [str(name) for names in values if isinstance(names, list) for name in names]
    origins = Origins(files, choices=choices, typed=keys)
    try:
        lines = find_strange_keys(cfg, origins, files=files, trusted=trusted)
        if not lines:
            problems = [*target_problems(cfg, trusted=trusted), *find_problems(cfg, world_size=world_size)]
            lines = [tell(key, message, origins) for key, message in problems]
    except OmegaConfBaseException as error:
        raise ConfigError(tell(error.full_key or "", reason(error), origins)) from error
    if lines:
        raise ConfigError("\n".join(lines))
    return origins


def _check_files(cfg: DictConfig, origins: Origins) -> None:
    """Raise a ConfigError that lists the files that a configuration names and that are not there."""
    if missing := find_missing_files(cfg):
        raise ConfigError("\n".join(tell(key, message, origins) for key, message in missing))


def _place(job: DictConfig) -> Place:
    """Read from Hydra's own node where a run will be."""
    swept = job.mode == RunMode.MULTIRUN
    return Place(
        folder=OmegaConf.select(job, "sweep.dir" if swept else "run.dir", throw_on_resolution_failure=False),
        devices=OmegaConf.select(job, "launcher.devices") if swept else None,
        has_launcher=swept and job.launcher._target_ != ALONE,
        is_elsewhere=OmegaConf.select(job, "launcher.export") is not None,
    )


def _check_machine(cfg: DictConfig, origins: Origins, place: Place, *, verb: str, notes: bool = True) -> None:
    """Raise a ConfigError that lists what the machine lacks; what is good to know is written once a process."""
    if place.is_elsewhere:
        return
    findings = find_machine_faults(cfg, place, verb=verb)
    lines = [tell(finding.key, finding.message, origins) for finding in findings if finding.is_error]
    if lines:
        raise ConfigError("\n".join(lines))
    if notes and os.environ.get("RANK", "0") == "0":
        for finding in findings:
            _note(f"note: {finding.key}: {finding.message}\n")


@functools.cache
def _note(line: str) -> None:
    sys.stderr.write(line)


def _stop(error: Exception) -> NoReturn:
    lines = str(error).splitlines()
    if len(lines) > 1 and isinstance(error, QvlError):
        lines.insert(0, f"{len(lines)} findings")
    sys.stderr.write("\n  ".join([f"error: {lines[0]}", *lines[1:]]) + "\n")
    raise SystemExit(2 if isinstance(error, ConfigError | LauncherError) else 1) from error
