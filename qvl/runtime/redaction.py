"""Secrets are taken out of everything that is written: by the name they stand under, by value and by shape."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from urllib.parse import quote

import yaml  # type: ignore[import-untyped]

__all__ = [
    "MASK",
    "is_secret_name",
    "redact_arguments",
    "redact_command",
    "redact_text",
    "redact_yaml",
    "secret_values",
]

MASK = "<redacted>"

_ENVIRONMENT_NAME = re.compile(r"TOKEN|KEY|SECRET|PASS", re.IGNORECASE)
_MIN_VALUE_LENGTH = 6  # a shorter value ("1", "us", "false") would tear holes into ordinary text
_SECRET_WORD = re.compile(r"secrets?|password|passwd|passphrase|credentials?|apikey|authorization")
_KIND = re.compile(r"api|access|auth|bearer|client|encryption|hub|license|private|refresh|secret|signing|ssh")
_NOUN = re.compile(r"keys?|tokens?")
_TEXT_TOKEN = re.compile(r"eos|bos|pad|unk|image|video|vision|start|end|stop|mask|sep|cls|special")  # of a tokenizer
_HARMLESS = frozenset(("", "true", "false", "null", "none", "~", MASK))
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ASSIGNED_NAME = re.compile(r"""(?<![\w.-])(?P<name>[\w.-]++)["']?[ \t]*[:=][ \t]*""")
_ASSIGNED_VALUE = re.compile(r""""[^"]*"|'[^']*'|[^\s"',;&}\]]+""")
_ANCHOR = re.compile(r"&\S+\s+")
_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{20,}"
    r"|AKIA[A-Z0-9]{16}|xox[abprs]-[\w-]{10,})|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


def secret_values(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the values of all environment variables named *TOKEN*, *KEY*, *SECRET* or *PASS*, longest first.

    Values of fewer than 6 characters are left out: too much ordinary text would match.
    """
    found = {
        value
        for name, value in environ.items()
        if _ENVIRONMENT_NAME.search(name) and len(value) >= _MIN_VALUE_LENGTH and value.lower() not in MASK
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def is_secret_name(name: str) -> bool:
    """Whether a key or option of this name holds a secret: `hub_token`, `wandb.apiKey`, `--password`.

    `image_token_id`, `eos_token`, `max_new_tokens` and `sort_key` do not.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    if any(_SECRET_WORD.fullmatch(word) for word in words) or words[-1] == "pass":
        return True
    if any(_KIND.fullmatch(first) and _NOUN.fullmatch(second) for first, second in pairwise(words)):
        return True
    return words[-1] == "token" and not any(_TEXT_TOKEN.fullmatch(word) for word in words[-2:])


def redact_text(text: str, values: Sequence[str]) -> str:
    """Mask known values, assignments to secret names (`token=...`, `"password": "..."`) and well-known token shapes."""
    text = _mask_values(text, values)
    parts, done = [], 0
    for assigned in _ASSIGNED_NAME.finditer(text):
        if assigned.start() < done or not is_secret_name(assigned["name"]):
            continue
        value = _ASSIGNED_VALUE.match(text, assigned.end())
        if value and not _is_harmless(value[0]):
            parts += [text[done : value.start()], MASK]
            done = value.end()
    return "".join([*parts, text[done:]])


def redact_arguments(arguments: Sequence[str], values: Sequence[str]) -> tuple[str, ...]:
    """Mask secrets in a command line or a list of overrides, also where name and value are two arguments."""
    cleaned: list[str] = []
    name_before = ""
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if name_before and not argument.startswith("--"):
            cleaned.append(MASK)
        elif sign and is_secret_name(name) and not _is_harmless(value):
            cleaned.append(f"{name}={MASK}")
        else:
            cleaned.append(redact_text(argument, values))
        is_option = not sign and argument.startswith("-")
        name_before = argument if is_option and is_secret_name(argument) else ""
    return tuple(cleaned)


def redact_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """Mask secrets in a command line or a list of overrides, also the values of secret environment variables."""
    return redact_arguments(arguments, secret_values())


def redact_yaml(text: str, values: Sequence[str]) -> str:
    """Mask secrets in a YAML document and leave every other character as it is.

    Scalars are compared as they are meant, so quoting, escapes and folded lines hide nothing.

    Raises:
        yaml.YAMLError: `text` is not one YAML document.
    """
    changes = {}
    scalars = sorted(_scalars(yaml.compose(text, Loader=yaml.SafeLoader)), key=lambda found: found[1])
    for node, under_secret in scalars:  # of two visits through aliases the one under a secret name comes last
        clean = MASK if under_secret and not _is_harmless(node.value) else redact_text(node.value, values)
        if clean != node.value:
            changes[node.start_mark.index] = (node.end_mark.index, clean)
    for start in sorted(changes, reverse=True):
        end, clean = changes[start]
        anchor = _ANCHOR.match(text, start, end)
        line_end = "\n" if text[start:end].endswith("\n") else ""
        scalar = (anchor[0] if anchor else "") + json.dumps(clean, ensure_ascii=False) + line_end
        text = text[:start] + scalar + text[end:]
    return _mask_values(text, values)


def _scalars(root: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, bool]]:
    """Yield every scalar that is no key, and whether a key above it has a secret name."""
    open_nodes = [(root, False)] if root else []
    seen = set()
    while open_nodes:
        node, under_secret = open_nodes.pop()
        if (id(node), under_secret) in seen:  # an alias
            continue
        seen.add((id(node), under_secret))
        if isinstance(node, yaml.ScalarNode):
            yield node, under_secret
        elif isinstance(node, yaml.SequenceNode):
            open_nodes += [(item, under_secret) for item in node.value]
        else:
            open_nodes += [(item, under_secret or is_secret_name(str(key.value))) for key, item in node.value]


def _is_harmless(value: str) -> bool:
    return value.strip("\"'").lower() in _HARMLESS


def _mask_values(text: str, values: Sequence[str]) -> str:
    for value in values:
        for form in (value, json.dumps(value)[1:-1], quote(value, safe="")):
            text = text.replace(form, MASK)
    return _SHAPES.sub(MASK, text)
