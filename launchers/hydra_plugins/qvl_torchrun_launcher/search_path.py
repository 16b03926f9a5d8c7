"""Makes the choice hydra/launcher=torchrun known to every app."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

__all__ = ["TorchrunSearchPath"]


class TorchrunSearchPath(SearchPathPlugin):
    """Adds the folder with the choice at the end, behind the app's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folder."""
        search_path.append(provider="torchrun", path="pkg://hydra_plugins.qvl_torchrun_launcher.conf")
