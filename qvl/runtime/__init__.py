"""What every part stands on: whole files, upright pictures, seeds, ranks, logging and the run manifest."""

from __future__ import annotations

from qvl.runtime.distributed import Rank, rank_from_environment
from qvl.runtime.files import (
    SET_ASIDE,
    discard,
    locked,
    replace_folder,
    sha256_of,
    sync_tree,
    write_bytes,
    write_json,
    write_text,
)
from qvl.runtime.images import image_size, open_image
from qvl.runtime.logging import configure as configure_logging
from qvl.runtime.manifest import (
    DataDigest,
    GitState,
    RunManifest,
    collect_manifest,
    data_digest,
    git_state,
    write_manifest,
)
from qvl.runtime.redaction import redact_arguments, redact_text, redact_yaml, secret_values
from qvl.runtime.seeding import rng

__all__ = [
    "SET_ASIDE",
    "DataDigest",
    "GitState",
    "Rank",
    "RunManifest",
    "collect_manifest",
    "configure_logging",
    "data_digest",
    "discard",
    "git_state",
    "image_size",
    "locked",
    "open_image",
    "rank_from_environment",
    "redact_arguments",
    "redact_text",
    "redact_yaml",
    "replace_folder",
    "rng",
    "secret_values",
    "sha256_of",
    "sync_tree",
    "write_bytes",
    "write_json",
    "write_manifest",
    "write_text",
]
