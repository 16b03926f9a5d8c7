"""What a run was started with, written into its folder before the first step."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from qvl.runtime.files import sha256_of, write_json, write_text
from qvl.runtime.redaction import redact_arguments, redact_text, redact_yaml, secret_values

__all__ = [
    "CONFIG_NAME",
    "MANIFEST_NAME",
    "DataDigest",
    "GitState",
    "RunManifest",
    "add_to_manifest",
    "collect_manifest",
    "data_digest",
    "git_state",
    "package_versions",
    "write_manifest",
]

CONFIG_NAME = "config.yaml"
MANIFEST_NAME = "run_manifest.json"

_PACKAGES = (
    *("qvl", "torch", "torchvision", "transformers", "ms-swift", "peft", "accelerate", "deepspeed", "flash-attn"),
    *("safetensors", "tokenizers", "datasets", "hydra-core", "omegaconf", "numpy", "pillow", "shapely"),
    *("opencv-python", "opencv-python-headless"),
)
_GIT_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class GitState:
    """Revision of the source tree.

    Attributes:
        revision: The commit, 40 hexadecimal digits.
        dirty: Whether files differ from it or are not in it.
    """

    revision: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class DataDigest:
    """Identity of one data file.

    Attributes:
        path: Where it was read.
        sha256: Digest of its content.
        rows: Number of its rows.
    """

    path: str
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class RunManifest:
    """Everything a run was started with.

    Attributes:
        config: Resolved configuration as YAML text.
        overrides: What the user changed, `key=value` each.
        command: The command line.
        seed: Seed of the run.
        world_size: Number of processes.
        packages: Version of python and of each installed package that matters.
        git: Revision of the source tree; None when it is not under git.
        data: Digests of the data files.
    """

    config: str
    overrides: tuple[str, ...]
    command: tuple[str, ...]
    seed: int
    world_size: int
    packages: Mapping[str, str]
    git: GitState | None
    data: tuple[DataDigest, ...]


def collect_manifest(
    *, config: str, overrides: Sequence[str], data: Sequence[DataDigest], seed: int, world_size: int
) -> RunManifest:
    """Put together the manifest of this process: what is handed in, and its command line, packages and revision."""
    return RunManifest(
        config=config,
        overrides=tuple(overrides),
        command=tuple(sys.argv),
        seed=seed,
        world_size=world_size,
        packages=package_versions(),
        git=git_state(Path(__file__)),
        data=tuple(data),
    )


def write_manifest(folder: Path, manifest: RunManifest, *, environ: Mapping[str, str] = os.environ) -> None:
    """Write `config.yaml` and `run_manifest.json` into the run folder, without secrets; only one rank may do so.

    Masked are values under secret names (`hub_token`, `--password`), the values of all environment variables named
    *TOKEN*, *KEY*, *SECRET* or *PASS*, and texts that have the shape of a well-known token.

    Args:
        folder: The run folder, made if it is missing.
        manifest: What to write.
        environ: Environment whose secret values must not be written.
    """
    values = secret_values(environ)
    facts = asdict(manifest)
    config = facts.pop("config")
    facts["overrides"] = redact_arguments(manifest.overrides, values)
    facts["command"] = redact_arguments(manifest.command, values)
    for digest in facts["data"]:
        digest["path"] = redact_text(digest["path"], values)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG_NAME, redact_yaml(config, values))
    write_json(folder / MANIFEST_NAME, facts)


def add_to_manifest(folder: Path, name: str, value: object) -> None:
    """Write one more fact into the `run_manifest.json` of a run folder; only one rank may do so."""
    path = folder / MANIFEST_NAME
    facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_json(path, {**facts, name: value})


def data_digest(path: Path, *, rows: int) -> DataDigest:
    """Hash one data file; `rows` is what its reader counted."""
    return DataDigest(path=str(path), sha256=sha256_of(path), rows=rows)


def package_versions() -> dict[str, str]:
    """Return the version of python and of every installed package that decides what a run computes."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # optional, or not installed as a package
    return versions


def git_state(file: Path) -> GitState | None:
    """Return the revision of the tree that tracks `file`; None without git, without a commit, or if untracked."""
    tracked = _git(file.parent, "ls-files", "--error-unmatch", file.name)
    revision = _git(file.parent, "rev-parse", "HEAD")
    changes = _git(file.parent, "status", "--porcelain")
    if tracked is None or revision is None or changes is None:
        return None
    return GitState(revision=revision.strip(), dirty=bool(changes.strip()))


def _git(folder: Path, *arguments: str) -> str | None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # set inside hooks
    environ["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=_GIT_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
