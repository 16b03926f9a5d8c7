"""What Hydra has to know before it composes: the schema of a verb and the resolvers that conf/ uses."""

from __future__ import annotations

import functools
import os
import secrets

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from qvl.schema.groups import TrainConfig

__all__ = ["register_schema"]


def register_schema(schema: type = TrainConfig, *, name: str = "train") -> None:
    """Make a schema known to Hydra as `<name>_schema`, and the resolvers `qvl.cwd` and `qvl.token`.

    Args:
        schema: Dataclass of the root configuration.
        name: Name of the primary config, such as train for conf/train.yaml.
    """
    ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    OmegaConf.register_new_resolver("qvl.cwd", os.getcwd, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("qvl.token", _process_token, replace=True, use_cache=True)


@functools.cache
def _process_token() -> str:
    """Return 8 random hexadecimal digits, the same in the whole process: runs that start together differ."""
    return secrets.token_hex(4)
