"""What every part stands on: whole files, upright pictures, seeds, ranks, logging and the run manifest."""

from __future__ import annotations

from qvl.runtime.checksums import CHECKSUMS_NAME, ChecksumFault, verify_checksums, write_checksums
from qvl.runtime.distributed import (
    Rank,
    cpus_of_process,
    first_goes_ahead,
    gathered,
    local_world_size,
    rank_from_environment,
)
from qvl.runtime.files import (
    SET_ASIDE,
    digest_of,
    discard,
    locked,
    replace_folder,
    rewritten,
    sha256_of,
    sync_tree,
    write_bytes,
    write_json,
    write_lines,
    write_text,
)
from qvl.runtime.hub_layout import hub_layout
from qvl.runtime.images import ImageHeader, check_image, image_header, image_size, open_image, open_pixels, open_preview
from qvl.runtime.logging import configure as configure_logging
from qvl.runtime.logging import quiet_loading
from qvl.runtime.manifest import (
    DataDigest,
    GitState,
    RunManifest,
    collect_manifest,
    data_digest,
    git_state,
    write_manifest,
)
from qvl.runtime.redaction import redact_arguments, redact_command, redact_text, redact_yaml, secret_values
from qvl.runtime.seeding import rng
from qvl.runtime.workers import available_cpus, in_order

__all__ = [
    "CHECKSUMS_NAME",
    "SET_ASIDE",
    "ChecksumFault",
    "DataDigest",
    "GitState",
    "ImageHeader",
    "Rank",
    "RunManifest",
    "available_cpus",
    "check_image",
    "collect_manifest",
    "configure_logging",
    "cpus_of_process",
    "data_digest",
    "digest_of",
    "discard",
    "first_goes_ahead",
    "gathered",
    "git_state",
    "hub_layout",
    "image_header",
    "image_size",
    "in_order",
    "local_world_size",
    "locked",
    "open_image",
    "open_pixels",
    "open_preview",
    "quiet_loading",
    "rank_from_environment",
    "redact_arguments",
    "redact_command",
    "redact_text",
    "redact_yaml",
    "replace_folder",
    "rewritten",
    "rng",
    "secret_values",
    "sha256_of",
    "sync_tree",
    "verify_checksums",
    "write_bytes",
    "write_checksums",
    "write_json",
    "write_lines",
    "write_manifest",
    "write_text",
]
