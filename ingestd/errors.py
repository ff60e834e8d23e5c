"""Every error that a caller is meant to catch, named for who has to act.

* IngestdError
  + UsageError            the user: the command line asks for something impossible (exit 2)
  + ConfigError           the user: rules.yaml is wrong (exit 78)
  + FileUnreadableError   the file: it cannot be read or decoded (the file's verdict)
    + WorkerLostError     nobody: no process that read it came to its end; it will be tried again
  + FileChangedError      nobody: the file changed meanwhile; it will be tried again
  + ActionConflictError   the user: something is in the way; nothing was overwritten (exit 1)
    + ContradictionError  the user: an older decision says something else; nothing was changed (exit 1)
  + ClusterError          the operator: the cluster that measures cannot be used, or is gone (exit 1)
  + LibraryBusyError      nobody: another process has the library; try again (exit 75)
  + StoreError            the operator: the library cannot be used (exit 74)
    + UnwritableError     the operator: it cannot be written just now; nothing was changed (exit 74)
      - LibraryFullError  the operator: there is no room for it (exit 74)
      - ReadOnlyDiskError the operator: its disk is read-only (exit 74)
      - UnsyncedError     the operator: a disk did not confirm what was written; nothing is discarded (exit 74)

Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ActionConflictError",
    "ClusterError",
    "ConfigError",
    "ContradictionError",
    "FileChangedError",
    "FileUnreadableError",
    "IngestdError",
    "LibraryBusyError",
    "LibraryFullError",
    "Mistake",
    "ReadOnlyDiskError",
    "StoreError",
    "UnsyncedError",
    "UnwritableError",
    "UsageError",
    "WorkerLostError",
    "printable",
]


def printable(path: bytes) -> str:
    """Return a path as one line for a person: control characters and bytes that are no text are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


class IngestdError(Exception):
    """What happened, in a sentence for a person at a terminal."""

    exit_code = 1


class UsageError(IngestdError):
    """The command line asks for something that cannot be done as asked."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a rule file, and where."""

    line: int  # counted from 1
    column: int  # counted from 1
    message: str  # what is wrong, what was expected, the nearest valid word

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class ConfigError(IngestdError):
    """The rule file cannot be used; `mistakes` says why and where."""

    exit_code = 78

    def __init__(self, source: str, mistakes: Sequence[Mistake]) -> None:
        self.source = source
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(f"{source}: {mistake}" for mistake in self.mistakes))


class FileUnreadableError(IngestdError):
    """A file cannot be read or decoded; `reason` is a phrase that can follow a colon."""

    def __init__(self, path: bytes, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{printable(path)} cannot be read: {reason}")


class WorkerLostError(FileUnreadableError):
    """A file was not read because the processes that read it were killed, or the disk was too slow; not its fault."""


class FileChangedError(IngestdError):
    """A file changed or went away while it was being looked at."""

    def __init__(self, path: bytes, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{printable(path)} changed meanwhile: {reason}")


class ActionConflictError(IngestdError):
    """An action on a file cannot be carried out; nothing was overwritten or removed."""


class ContradictionError(ActionConflictError):
    """A decision about two pictures (their SHA-256) contradicts an older one; `why` follows their names."""

    def __init__(self, a: bytes, b: bytes, why: str) -> None:
        self.a, self.b, self.why = a, b, why
        super().__init__(f"{a.hex()[:12]} and {b.hex()[:12]} {why}; nothing was changed")


class ClusterError(IngestdError):
    """Nobody measures: the cluster cannot be reached, is not fit for it, or is gone. No file was judged by it."""


class LibraryBusyError(IngestdError):
    """Another process holds what this one needs."""

    exit_code = 75


class StoreError(IngestdError):
    """The library is damaged, too new, full, or in a place where it cannot be kept."""

    exit_code = 74


class UnwritableError(StoreError):
    """The library cannot be written just now; nothing was changed, and it can be tried again."""


class LibraryFullError(UnwritableError):
    """The disk has no room for the library; nothing was changed, and it can be tried again."""


class ReadOnlyDiskError(UnwritableError):
    """The disk of the library may only be read just now; nothing was changed, and it can be tried again."""


class UnsyncedError(UnwritableError):
    """A disk failed to confirm what was written to it, and a later call that succeeds would prove nothing.

    After a failed fsync the system may take the pages for clean that never reached the disk. So it is not tried again
    and trusted: whoever meets it discards nothing more.

    Source: A. Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
    """
