"""What the verbs share that read data: from a configuration to prompts, data sets and the folder of a model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qvl.build import build, build_context

__all__ = ["OpenedData"]


class OpenedData:
    """The data of a configuration, and what makes conversations of them.

    Attributes:
        prompts: Object of the group `prompts`.
        context: What turns rows to train on into conversations.
    """

    def __init__(self, cfg: Any, *, augmented: bool = False) -> None:
        """Make data that are missing; rows are read when a data set is asked for.

        Args:
            cfg: Composed and checked configuration with the groups `data`, `model`, `paths` and `prompts`.
            augmented: Whether rows to train on are augmented, as the group `augmentation` says.

        Raises:
            QvlError: The data cannot be made.
        """
        self._cfg = cfg
        self._make = partial(build, trusted=list(cfg.trusted_targets))
        if cfg.data.prepare is not None:
            self._make(cfg.data.prepare).prepare()
        self.prompts = self._make(cfg.prompts)
        augmentation = self._make(cfg.augmentation) if augmented else None
        self.context = build_context(cfg, prompts=self.prompts, augmentation=augmentation)

    @property
    def has_val(self) -> bool:
        """Whether there are rows of their own to evaluate on."""
        return self._cfg.data.val is not None

    def train(self) -> Any:
        """Return the rows to train on.

        Raises:
            QvlError: They cannot be read.
        """
        return self._make(self._cfg.data.train, context=self.context)

    def val(self) -> Any:
        """Return the rows to evaluate on, those to train on where there are no others; they are never augmented.

        Raises:
            QvlError: They cannot be read.
        """
        context = replace(self.context, augmentation=None, training=False)
        return self._make(self._cfg.data.val if self.has_val else self._cfg.data.train, context=context)

    def start(self, run_folder: Path) -> Any:
        """Return the `qvl.models.Start` that the data are for; a model that is made anew is made in a folder.

        Raises:
            QvlError: There is no such model.
        """
        from qvl.models import find_start

        texts = [self.prompts.system, self.prompts.user]
        return find_start(self._cfg.model.path, run_folder=run_folder, prompts=texts, seed=self._cfg.seed)

    def model_path(self, run_folder: Path) -> str:
        """Return where tokenizer and picture processor of that model lie.

        Raises:
            QvlError: There is no such model.
        """
        return str(self.start(run_folder).path)
