"""What the launcher raises; Hydra prints both without a traceback.

Not in a module without underscore: Hydra executes those anew at each start, and the classes would not be the same.
"""

from __future__ import annotations

from hydra.errors import CompactHydraException

__all__ = ["JobFailure", "LauncherError"]


class LauncherError(CompactHydraException):
    """The sweep cannot start as it was asked for; nothing runs."""


class JobFailure(CompactHydraException, RuntimeError):
    """A job did not complete: "job 3: failed: rank 1: ValueError: boom", then the last lines of its log."""

    def __repr__(self) -> str:
        """Return the first line of the text: sweepers write lists of failures down."""
        return f"JobFailure({str(self).partition(chr(10))[0]!r})"
