"""Whether weights that are named by an id of the Hugging Face hub can be had."""

from __future__ import annotations

import functools
from enum import Enum
from pathlib import Path
from typing import Final

from qvl.machine.storage import weights_bytes

__all__ = ["HubState", "cached_folder", "hub_state"]

_TIMEOUT_S: Final = 5.0


class HubState(Enum):
    """What is known of a model of the hub."""

    CACHED = "all its weights lie in the cache"
    REACHABLE = "the hub has it"
    MISSING = "the hub has no such model, or does not show it without a token"
    OFFLINE = "it is not in the cache as a whole, and HF_HUB_OFFLINE is set"
    UNREACHABLE = "it is not in the cache as a whole, and the hub does not answer"


def cached_folder(name: str) -> Path | None:
    """Return the folder of the cache that holds all weights of a model; None if something is missing."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # no hub has such a name
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return folder if weights_bytes(folder) is not None else None


@functools.cache
def hub_state(name: str) -> HubState:
    """Look into the cache, then ask the hub once: upstream tries again for minutes.

    Args:
        name: Such as Qwen/Qwen3-VL-4B-Instruct.
    """
    import httpx
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if cached_folder(name) is not None:
        return HubState.CACHED
    if constants.HF_HUB_OFFLINE:
        return HubState.OFFLINE
    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=_TIMEOUT_S)
    except HFValidationError:
        return HubState.MISSING
    except HfHubHTTPError as error:
        return HubState.MISSING if error.response.status_code in (401, 403, 404) else HubState.UNREACHABLE
    except (httpx.HTTPError, OSError):
        return HubState.UNREACHABLE
    return HubState.REACHABLE
