"""Composes jobs of the tiny application in the process of the tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from hydra.types import HydraContext, RunMode
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, compose_jobs
from omegaconf import DictConfig

CONF = Path(__file__).parent / "app" / "conf"
TASK = "app:main"


@contextmanager
def master(folder: Path, *overrides: str) -> Iterator[tuple[HydraContext, DictConfig]]:
    """Yield Hydra's context and the configuration of a sweep."""
    before = HydraConfig.instance().cfg
    with initialize_config_dir(str(CONF), version_base="1.3", job_name="app"):
        setup_globals()
        loader = GlobalHydra.instance().config_loader()
        typed = [f"hydra.sweep.dir='{folder}'", *overrides]
        config = loader.load_configuration("config", typed, run_mode=RunMode.MULTIRUN)
        yield HydraContext(config_loader=loader, callbacks=Callbacks(config)), config
    HydraConfig.instance().cfg = before


def compose(
    folder: Path,
    batch: Sequence[Sequence[str]],
    *overrides: str,
    first: int = 0,
    used: Collection[str] = (),
    resume: bool = True,
) -> list[Job]:
    """Compose a batch of jobs in a sweep folder."""
    with master(folder, *overrides) as (context, config):
        return compose_jobs(context, config, batch, first=first, task=TASK, used=used, resume=resume)


def refuse(cfg: DictConfig, hydra_cfg: DictConfig, processes: int) -> None:
    """Refuse odd x, in two lines from 3 on."""
    assert hydra_cfg.job.num == HydraConfig.get().job.num
    assert "hydra" not in cfg
    if cfg.x % 2:
        raise KeyError(f"x is {cfg.x}, {processes} processes") if cfg.x == 99 else _Odd(cfg.x, processes)


def refuse_all(cfg: DictConfig, hydra_cfg: DictConfig, processes: int) -> None:
    """Refuse every job for the same reason."""
    raise ValueError("no such machine")


class _Odd(Exception):
    def __init__(self, x: int, processes: int) -> None:
        super().__init__(f"x is {x}, {processes} processes" + ("\n2\n" if x > 2 else ""))
