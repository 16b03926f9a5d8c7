"""The manifest of a run says what it was started with, and no secret."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml  # type: ignore[import-untyped]

from qvl.runtime import DataDigest, RunManifest, collect_manifest, data_digest, git_state, write_manifest

CONFIG = "seed: 17\nmodel:\n  path: qvl://tiny\n"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def manifest(**changes: object) -> RunManifest:
    collected = collect_manifest(config=CONFIG, overrides=["seed=17"], data=[], seed=17, world_size=2)
    return replace(collected, **changes)  # type: ignore[arg-type]


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def repository(folder: Path) -> Path:
    git(folder, "init", "--quiet")
    (folder / "module.py").write_text("")
    git(folder, "add", "module.py")
    return folder / "module.py"


def test_the_folder_holds_the_config_and_the_facts(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(b"{}\n{}\n")
    data = data_digest(tmp_path / "train.jsonl", rows=2)
    write_manifest(tmp_path / "run", manifest(data=(data,), command=("qvl-train", "+recipe=stage2_lora")), environ={})
    assert (tmp_path / "run" / "config.yaml").read_text() == CONFIG
    facts = json.loads((tmp_path / "run" / "run_manifest.json").read_text())
    assert facts["overrides"] == ["seed=17"]
    assert facts["command"] == ["qvl-train", "+recipe=stage2_lora"]
    assert (facts["seed"], facts["world_size"]) == (17, 2)
    assert {"python", "numpy", "pillow"} <= facts["packages"].keys()
    assert facts["data"] == [
        {"path": str(tmp_path / "train.jsonl"), "sha256": hashlib.sha256(b"{}\n{}\n").hexdigest(), "rows": 2}
    ]
    assert facts.keys() == {"overrides", "command", "seed", "world_size", "packages", "git", "data"}


@needs_git
def test_the_revision_is_the_commit_and_dirty_says_whether_it_is_all(tmp_path: Path) -> None:
    module = repository(tmp_path)
    assert git_state(module) is None  # nothing committed yet
    git(tmp_path, "commit", "--quiet", "-m", "first")
    state = git_state(module)
    assert state is not None
    assert len(state.revision) == 40
    assert not state.dirty
    (tmp_path / "new.py").write_text("")
    state = git_state(module)
    assert state is not None
    assert state.dirty


@needs_git
def test_a_file_that_git_does_not_track_has_no_revision(tmp_path: Path) -> None:
    repository(tmp_path)
    git(tmp_path, "commit", "--quiet", "-m", "first")
    (tmp_path / "installed.py").write_text("")
    assert git_state(tmp_path / "installed.py") is None


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(Path(__file__)) is None


def test_ten_planted_secrets_are_nowhere_in_the_run_folder(tmp_path: Path) -> None:
    secrets = [f"{name}-Se{number}cret'\"ü\\value" for number, name in enumerate("abcdef")]
    in_environment = {
        "HF_TOKEN": secrets[0],
        "WANDB_API_KEY": secrets[1],
        "MY_SECRET": secrets[2],
        "DB_PASS": secrets[3],
    }
    hidden = {
        "hub": {"token": "g-planted-token", "use_hf_token": True, "path": "qvl://tiny"},
        "report": {
            "wandbApiKey": "h-planted-key",
            "folder": f"/data/{secrets[0]}/logs",
            "note": secrets[1] + " word" * 40,
        },
        "users": [{"name": "ada", "password": "i-planted-password"}],
        "eos_token": "<|im_end|>",
        "max_new_tokens": 1024,
        "credentials": {"login": secrets[4], "parts": [secrets[5]]},
    }
    write_manifest(
        tmp_path,
        manifest(
            config=yaml.dump(hidden, allow_unicode=False),
            overrides=(f"+hub.token={secrets[4]}", f"report.note='{secrets[2]}'", "seed=17"),
            command=(
                "qvl-train",
                "--api-key",
                secrets[5],
                f"--url=https://u:j-planted@host/?x={quote(secrets[3], safe='')}",
            ),
            data=(DataDigest(f"/data/{secrets[0]}/train.jsonl", "0" * 64, 1),),
        ),
        environ=in_environment,
    )
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    planted = [*secrets, "g-planted", "h-planted", "i-planted", "j-planted"]
    assert len(planted) == 10
    for secret in planted:
        assert secret not in written
        assert secret[:9] not in written
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert config["report"]["folder"] == "/data/<redacted>/logs"
    assert config["credentials"] == {"login": "<redacted>", "parts": ["<redacted>"]}
    assert config["hub"] == {"token": "<redacted>", "use_hf_token": True, "path": "qvl://tiny"}
    assert (config["eos_token"], config["max_new_tokens"]) == ("<|im_end|>", 1024)
    assert json.loads((tmp_path / "run_manifest.json").read_text())["overrides"][2] == "seed=17"
