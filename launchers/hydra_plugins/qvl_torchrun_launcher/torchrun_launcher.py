"""Launcher that Hydra finds; the work is in modules that Hydra does not import at each start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from hydra_plugins.qvl_torchrun_launcher._sweep import Sweep
    from omegaconf import DictConfig

__all__ = ["TorchrunLauncher"]


class TorchrunLauncher(Launcher):
    """Run every job of a sweep as processes of its own, on devices of its own.

    Args:
        settings: Keys of `TorchrunLauncherConf`.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.sweep: Sweep | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra hands over before the first job."""
        from hydra_plugins.qvl_torchrun_launcher._sweep import Sweep

        self.sweep = Sweep(context=hydra_context, task_function=task_function, config=config, settings=self.settings)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs.

        Args:
            job_overrides: Overrides of each job, as the sweeper writes them.
            initial_job_idx: Number of the first job.

        Returns:
            One for each job, also for failed ones: reading their value raises a JobFailure.

        Raises:
            LauncherError: The batch cannot start.
            JobFailure: A job failed and `on_failure` is "stop".
            SystemExit: The sweep was interrupted: 130, 143 or 129; jobs that could save did.
        """
        if self.sweep is None:
            raise RuntimeError("launch() before setup()")
        return self.sweep.launch(job_overrides, initial_job_idx)
