"""What Hydra, OmegaConf and YAML say about a faulty configuration, in one line: place, key, value, what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

import yaml  # type: ignore[import-untyped]
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from qvl.schema.keys import advice, nearest
from qvl.schema.sources import ConfigFiles

__all__ = ["explain", "reason", "unknown_key"]

TYPED = "command line"
KINDS = {"Float": "a number", "Integer": "a whole number", "bool": "true or false"}


def explain(error: Exception, files: ConfigFiles) -> str:
    """Return one line about what is wrong.

    Args:
        error: Raised while a configuration was composed or resolved.
        files: Where the configs lie; nearest keys and lines come from there.
    """
    match error:
        case MissingConfigException():
            return _missing_config(error, files)
        case OverrideParseException():
            return _not_an_override(error)
        case yaml.MarkedYAMLError():
            return f"{_yaml_place(error)}: no valid YAML: {error.problem}"
        case OmegaConfBaseException():
            return f"{error.full_key}: {reason(error)}" if error.full_key else reason(error)
        case HydraException():
            return _composition(error, files)
        case _:
            return _first_line(error)


def unknown_key(key: str, files: ConfigFiles) -> str:
    """Return what to tell about a key that does not exist: advice if it is retired, else the nearest known key."""
    if retired := advice(key):
        return f"{key} is retired: {retired}"
    known = files.known_keys()
    if key.startswith("hydra."):
        return f"there is no key {key}; `--cfg hydra` shows those of Hydra"
    if near := nearest(key, known):
        return f"there is no key {key}; did you mean {near}?"
    parent = key.rpartition(".")[0]
    beside = sorted(other.rpartition(".")[2] for other in known if other.rpartition(".")[0] == parent)
    names = beside or sorted(other for other in known if "." not in other)
    return f"there is no key {key}; there are: {', '.join(names)}"


def _missing_config(error: MissingConfigException, files: ConfigFiles) -> str:
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    asking = files.asking(group, name)
    place = files.place(asking) if asking else TYPED
    what = f"{group}={name}" if group else name
    options = list(error.options or ())
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"{place}: there is no {what}{meant}" + (f" ({group}: {', '.join(options)})" if options else "")


def _not_an_override(error: OverrideParseException) -> str:
    text = str(error.override)
    if "missing EQUAL" in str(error):
        return f"{TYPED}: {text!r} is no setting; write key=value, without spaces around ="
    key, _, value = text.partition("=")
    return f"{TYPED}: {text!r} cannot be read; put the value in quotes: \"{key}='{value}'\""


def _yaml_place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{mark.name}:{mark.line + 1}" if mark else "a configuration file"


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    if text.startswith("Config group override must be a string"):
        return f"{TYPED}: a choice of a group is a name, such as model=tiny"
    return text.splitlines()[0]


def _composition(error: HydraException, files: ConfigFiles) -> str:
    text = str(error)
    for pattern, say in _RULES:
        if found := re.match(pattern, text, re.DOTALL):
            return say(found, error, files)
    if isinstance(error.__cause__, OmegaConfBaseException):
        return explain(error.__cause__, files)
    return f"{TYPED}: {_first_line(error)}"


def _not_overridable(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    key = found.group(1)
    return f"{TYPED}: {unknown_key(key, files)}"


def _not_mergeable(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    cause = error.__cause__
    text = reason(cause) if isinstance(cause, OmegaConfBaseException) else _first_line(error)
    return f"{TYPED}: {found.group(1).lstrip('+')}: {text}"


def _in_file(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    config, kind, text = found.groups()
    named = re.search(r"full_key: (\S+)", text)
    key = named.group(1) if named else None
    place = files.place(config, key)
    if key is not None and kind in ("ConfigKeyError", "ConfigAttributeError"):
        if config.startswith(f"{key}/"):
            return f"{place}: keys of the root need `# @package _global_` as the first line of the file"
        return f"{place}: {unknown_key(key, files)}"
    fault = _readable(text.splitlines()[0])
    return f"{place}: {key}: {fault}" if key else f"{place}: {fault}"


def _sweep(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    key, _, values = found.group(1).partition("=")
    return (
        f"{TYPED}: {key} has several values ({values}); add -m to run one job each, "
        f"or write '{key}=[{values}]' for a list"
    )


def _no_group(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    config, group = found.groups()
    known = [name for name in files.known_keys() if files.is_group(name)]
    near = nearest(group, known)
    meant = f"; did you mean {near}?" if near else f"; there are: {', '.join(sorted(known))}"
    return f"{files.place(config)}: there is no group {group}{meant}"


def _not_chosen(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    group = found.group(1)
    return f"{TYPED}: {group}: nothing is chosen; add {group}=NAME, one of: {', '.join(files.choices(group))}"


def _twice(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    return f"{TYPED}: {found.group(1)} is chosen more than once; choose it once, without a plus"


def _exists(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    return f"{TYPED}: {found.group(1)} is there already; leave the + out"


def _not_deletable(found: re.Match[str], error: HydraException, files: ConfigFiles) -> str:
    return f"{TYPED}: {unknown_key(found.group(1).partition('=')[0], files)}"


_RULES: tuple[tuple[str, Callable[[re.Match[str], HydraException, ConfigFiles], str]], ...] = (
    (r"Could not override '([^']+)'", _not_overridable),
    (r"In '([^']+)': Could not override '([^']+)'", _no_group),
    (r"Error merging override (.*)", _not_mergeable),
    (r"In '([^']+)': (\w+) raised while composing config:\n(.*)", _in_file),
    (r"Ambiguous value for argument '(.*?)'\n", _sweep),
    (r"Sweep parameters '(.*?)' requires", _sweep),
    (r"\s*You must specify '([^']+)'", _not_chosen),
    (r"Multiple values for (\S+)\. ", _twice),
    (r"(\S+) appears more than once in the final defaults list", _twice),
    (r"\s*Could not append to config\. An item is already at '([^']+)'", _exists),
    (r"Could not delete from config\. '([^']+)' does not exist", _not_deletable),
    (r"Could not delete '([^']+)'\. No match", _not_deletable),
)


def reason(error: OmegaConfBaseException) -> str:
    """Return what OmegaConf has against a value, without the key."""
    return _readable(str(error.msg or error).splitlines()[0])


_READABLE = (
    (r"Value '(?P<value>.*)' of type '\w+' could not be converted to (?P<kind>\w+)", "expected {kind}, got {value!r}"),
    (r"Value '(?P<value>.*)' is not a valid (?P<kind>bool)", "expected {kind}, got {value!r}"),
    (r"field '.*' is not Optional", "null is not allowed here"),
    (r".*(is not a ListConfig, list or tuple|Cannot convert .* to ListConfig)", "expected a list, like [a,b]"),
    (r"Cannot convert '\w+' to string: '(?P<value>.*)'", "expected a text, got {value}"),
    (
        r"Merge error: \w+ is not a subclass of \w+\. value: (?P<value>.*)",
        "{value!r} stands where keys belong; a group is chosen in `defaults`, as in `- override /tuner: full`",
    ),
    (r"Cannot merge DictConfig with ListConfig", "expected keys with values, got a list"),
    (r"Interpolation key '(?P<value>.*)' not found", "${{{value}}} names no key"),
    (r".*Error trying to access (?P<value>\S+): .*", "${{{value}}} has no value"),
)


def _readable(text: str) -> str:
    """Turn a sentence of OmegaConf about a value into what came and what was expected."""
    for pattern, say in _READABLE:
        if found := re.match(pattern, text, re.DOTALL):
            groups = found.groupdict()
            return say.format(value=groups.get("value", ""), kind=KINDS.get(groups.get("kind", ""), "another type"))
    return text
