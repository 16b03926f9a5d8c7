"""Data sets of user turns: one file, or several mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qvl.data.part import SampleContext, SourcePart, Turn
from qvl.data.plan import EpochPlan, Ticket, num_turns, plan_epoch
from qvl.data.preprocess import BasePreprocessor
from qvl.data.rows import changed_files
from qvl.data.source import RowSource
from qvl.errors import RecordError
from qvl.fusion import SourceSpec
from qvl.records import Finding

__all__ = ["FusionDataset", "JsonlDataset", "TurnDataset"]


class TurnDataset:
    """Map-style data set whose user turns are a function of (seed, epoch, source, row), and of nothing else.

    Worker count, world size and restarts do not matter: an item is asked for by a `Ticket`, which holds all that a
    worker has to know. A plain number stands for that turn of the epoch that was set last.

    Attributes:
        parts: The sources in use.
        context: What turns records into conversations.
        shuffle: False keeps the order of the files.
    """

    def __init__(self, sources: Sequence[RowSource], *, context: SampleContext, shuffle: bool) -> None:
        """Open the files.

        Raises:
            RecordError: A file is missing.
            ValueError: Two sources share a name, or a source cannot be used as it is asked for.
        """
        names = [source.name for source in sources]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sources need names of their own, got {', '.join(doubled)} more than once")
        self.parts = tuple(SourcePart(source, context) for source in sources)
        self.context = context
        self.shuffle = shuffle
        self.epoch = 0
        self._plan: tuple[object, EpochPlan] | None = None

    def check(self, *, images: str, processes: int | None = None) -> list[Finding]:
        """Check all files as a whole, see `CheckedRows.check`, and the checksums that lie beside them.

        Args:
            images: `decode`, which also reads the checksums, `header` or `off`.
            processes: At most so many work at once; None for one a processor.
        """
        checked = (part.rows.check(images=images, processes=processes) for part in self.parts)
        findings = [finding for found in checked for finding in found]
        return [*findings, *(changed_files(part.rows.root for part in self.parts) if images == "decode" else ())]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that plain numbers mean, in this process."""
        self.epoch = epoch

    def plan(self, epoch: int) -> EpochPlan:
        """Return the turns of an epoch.

        Raises:
            RecordError: There is nothing to draw from.
        """
        key = (epoch, tuple(len(part.rows) for part in self.parts))
        if self._plan is None or self._plan[0] != key:
            specs, sizes = self._specs(), [part.source.images_per_user_turn for part in self.parts]
            plan = plan_epoch(specs, sizes, epoch=epoch, seed=self.context.seed, shuffle=self.shuffle)
            self._plan = (key, plan)
        return self._plan[1]

    def turns_of_parts(self) -> list[int]:
        """Return how many turns each source gives to any epoch."""
        return num_turns(self._specs(), [part.source.images_per_user_turn for part in self.parts])

    def __len__(self) -> int:
        """Return the number of user turns of an epoch."""
        return sum(self.turns_of_parts())

    def __getitem__(self, key: Ticket | int) -> Turn:
        """Return a user turn.

        Raises:
            IndexError: There is no such turn.
            RecordError: A row or its picture changed since the check.
        """
        ticket = key if isinstance(key, Ticket) else self.plan(self.epoch).ticket(key)
        return self.parts[ticket.source].turn(ticket)

    def __getstate__(self) -> dict[str, object]:
        """Leave the plan behind: workers get tickets."""
        return self.__dict__ | {"_plan": None}

    def _specs(self) -> list[SourceSpec]:
        try:
            return [part.spec for part in self.parts]
        except ValueError as error:
            raise RecordError(str(error)) from error


class JsonlDataset(TurnDataset):
    """The rows of one JSONL file."""

    def __init__(
        self,
        *,
        path: str,
        context: SampleContext,
        preprocessor: BasePreprocessor,
        images_per_user_turn: int = 2,
        max_objects: int | None = None,
        limit: int | None = None,
        shuffle: bool = True,
    ) -> None:
        """Open the file; the arguments are those of `RowSource`."""
        source = RowSource(
            path=path,
            images_per_user_turn=images_per_user_turn,
            max_objects=max_objects,
            limit=limit,
            preprocessor=preprocessor,
        )
        super().__init__([source], context=context, shuffle=shuffle)


class FusionDataset(TurnDataset):
    """Several sources mixed anew every epoch, by role and ratio.

    For evaluation (a context that is not for training) the targets stand one after the other, whole.
    """

    def __init__(
        self,
        *,
        sources: Mapping[str, RowSource],
        context: SampleContext,
        shuffle: bool = True,
        limit: int | None = None,
    ) -> None:
        """Open the files; sources whose ratio is 0 are not opened.

        Args:
            sources: Name to source.
            context: What turns records into conversations.
            shuffle: False keeps the order of the files, one after the other.
            limit: Use the first rows only of every source that has no limit of its own; None for all.
        """
        used = [
            replace(source, name=name, limit=source.limit or limit)
            for name, source in sources.items()
            if source.ratio > 0
        ]
        if not context.training:
            used = [source for source in used if source.role == "target"]
        super().__init__(used, context=context, shuffle=shuffle)
