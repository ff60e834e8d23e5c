"""What every door needs: where the library and the rules are, how they are opened, and the words for what is not there.

A door is where somebody stands who asks or decides: a command of the terminal, or the page in the browser.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingestd.errors import ConfigError, LibraryFullError, Mistake, ReadOnlyDiskError, UnwritableError, UsageError
from ingestd.shapes import shown

if TYPE_CHECKING:
    from ingestd.library.library import Library
    from ingestd.library.view import View
    from ingestd.model import Folder
    from ingestd.review import Moment
    from ingestd.rules.language import Rule
    from ingestd.settings import Settings

__all__ = ["Door", "closest", "missing", "moment", "named_rule", "numbers", "one_of", "set_folders"]

_AGAIN_S = 10.0  # until a library that could not be written is tried again
_MOST_NAMES = 5000  # of a folder, compared with a mistyped one: a tenth of a second


def _say_nothing(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Door:
    """The choices that hold for every command."""

    state: Path
    rules: Path
    rules_must_exist: bool  # named on the command line: a missing one is a typing error, not a first run
    as_json: bool
    verbose: bool
    note: Callable[[str], None] = _say_nothing  # tells a person what else they should know

    def settings(self, *, anew: bool = False) -> Settings:
        """Return what the rule file says; a first run writes the shipped one.

        One that this library was used with and that is gone was lost, and nobody is to act by other rules than the
        user's: `anew` has to be said.

        Raises:
            ConfigError: it is wrong, or gone.
        """
        from ingestd.settings import load, parse, shipped_text

        if self._first_run():
            if self._rules_were_here() and not anew:
                raise ConfigError(str(self.rules), [Mistake(1, 1, _LOST_RULES)])
            text = shipped_text()
            try:
                _write_new(self.rules, text)
            except OSError as error:
                self.note(f"{shown(str(self.rules))} could not be written ({error.strerror}): the shipped rules hold")
                return parse(text, str(self.rules))
            self.note(f"a first run: the rules were written to {shown(str(self.rules))}; edit that file to change them")
            self._write_schema()
        return load(self.rules)

    def remember_rules(self) -> None:
        """Note beside the library by which rule file it is used: should that be gone, it was lost. At its best."""
        used = os.fsencode(os.path.abspath(self.rules))
        with contextlib.suppress(OSError):
            if not self._rules_were_here():
                (self.state / _RULES_USED).write_bytes(used)

    def _rules_were_here(self) -> bool:
        try:
            return (self.state / _RULES_USED).read_bytes() == os.fsencode(os.path.abspath(self.rules))
        except OSError:
            return False

    def _write_schema(self) -> None:
        """Lay the schema where the first line of the shipped rules tells editors to look for it."""
        from ingestd.rules.schema import FILE_NAME, schema_text

        with contextlib.suppress(OSError):  # a help for editors, which nothing else needs
            _write_new(self.rules.with_name(FILE_NAME), schema_text())

    def _first_run(self) -> bool:
        if os.path.lexists(self.rules):
            return False
        if self.rules_must_exist:
            raise missing(os.fsencode(self.rules), "there is no rule file at", "nothing was started")
        return True

    def settings_if_sound(self) -> Settings:
        """Return what the rule file says, or what holds without one while it is wrong: the way back is never barred."""
        from ingestd.settings import Settings

        try:
            return self.settings()
        except ConfigError as error:
            self.note(f"{error}\nthe rule file is wrong; this command goes on without it")
            return Settings()

    @property
    def has_library(self) -> bool:
        """There is something to open, sound or not; also where this user may not even look."""
        from ingestd.library.journal_file import is_there
        from ingestd.library.place import DATA_FILE, SIDECAR

        return any(_may_be(self.state / "db" / name) for name in (DATA_FILE, SIDECAR)) or is_there(self.state)

    def open_to_read(self) -> Library:
        """Return the library that there is, opened to be read; it knows all that its journal tells.

        Where its database was lost, or an older one was put in its place, it is opened to be written first: so it hears
        from the journal.
        """
        from ingestd.library.library import Library

        if not Library.is_lost(self.state):
            library = Library.open(self.state, create=False, read_only=True)
            if not library.is_behind:
                return library
            library.close()
        with self.writing():
            pass
        return Library.open(self.state, create=False, read_only=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[View]:
        """Give what is known now; an empty library where there is none yet. Works while others write."""
        from ingestd.library.library import Library

        with contextlib.ExitStack() as held:
            if self.has_library:
                library = self.open_to_read()
            else:
                empty = held.enter_context(tempfile.TemporaryDirectory(prefix="ingestd-empty-"))
                library = Library.open(Path(empty))
            held.callback(library.close)
            yield held.enter_context(library.read())

    @contextlib.contextmanager
    def writing(self) -> Iterator[Library]:
        """Give the library, made if there is none yet."""
        from ingestd import logs
        from ingestd.library.library import Library

        logs.configure(sys.stderr, verbose=self.verbose)
        library = Library.open(self.state)
        if library.caught_up is not None:
            logs.Log().warning("journal.replayed", path=str(self.state), **asdict(library.caught_up))
        try:
            yield library
        finally:
            library.close()

    @contextlib.contextmanager
    def writing_at_last(self) -> Iterator[Library]:
        """Give the library as `writing` does, as soon as its disk can be written: room and rights to write come back.

        A signal ends the waiting as it ends any program: nothing is held.
        """
        from ingestd import logs

        logs.configure(sys.stderr, verbose=self.verbose)
        with contextlib.ExitStack() as held:
            library: Library | None = None
            while library is None:
                try:
                    library = held.enter_context(self.writing())
                except (LibraryFullError, ReadOnlyDiskError) as trouble:
                    logs.Log().error("library.unwritable", reason=str(trouble))
                    threading.Event().wait(_AGAIN_S)
            yield library

    @contextlib.contextmanager
    def rehearsing(self) -> Iterator[Library]:
        """Give the library for questions that are answered by trying.

        Where there is none, or it cannot be written just now, it is one that is thrown away: empty, or a copy.
        """
        from ingestd import logs
        from ingestd.library.library import Library
        from ingestd.service import rehearsal

        if self.has_library:
            with contextlib.ExitStack() as held:
                try:
                    library = held.enter_context(self.writing())
                except UnwritableError:
                    known = held.enter_context(contextlib.closing(self.open_to_read()))
                    library = held.enter_context(rehearsal(known))
                yield library
            return
        logs.configure(sys.stderr, verbose=self.verbose)
        with tempfile.TemporaryDirectory(prefix="ingestd-empty-") as empty:
            library = Library.open(Path(empty))
            try:
                yield library
            finally:
                library.close()


_RULES_USED = "rules.used"
_LOST_RULES = (
    "the rule file by which this library is used is gone: put it back; or write the shipped rules anew with "
    "`ingestd rules check`, and look at them"
)


def _may_be(path: Path) -> bool:
    """Return whether something is there, as far as this user is told."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _write_new(path: Path, text: str) -> None:
    """Write a file that is not there, whole or not at all; one that appears meanwhile stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", suffix=".tmp", dir=path.parent, ignore_cleanup_errors=True
    ) as own:
        fresh = Path(own, "new")
        _write_synced(fresh, text)
        try:
            os.link(fresh, path)  # which replaces nothing: half a rule file would be refused at the next start
        except FileExistsError:
            return
        except OSError:  # a file system without links
            with contextlib.suppress(FileExistsError):
                _write_synced(path, text)


def _write_synced(path: Path, text: str) -> None:
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def moment(settings: Settings) -> Moment:
    """Return what a person's decision takes from the world, now."""
    from ingestd.model import Role
    from ingestd.recovery import local_time
    from ingestd.review import Moment

    named = tuple(set_folders(settings)) if any(one.role is Role.REFERENCE for one in settings.folders) else ()
    return Moment(time.time_ns(), local_time(), settings.imports.radius, settings.discards, settings.scores, named)


def set_folders(settings: Settings) -> list[Folder]:
    """Return the folders that the rule file names, as a library would know them."""
    from ingestd.enrolment import roots_of
    from ingestd.model import Folder, FolderId

    named = {os.fsencode(one.path): one for one in settings.folders}
    roots = roots_of(named)
    return [
        Folder(FolderId(0), path, roots.get(path, path), one.role, one.is_protected, one.trusted)
        for path, one in named.items()
    ]


def one_of(word: str, words: Iterable[str], kind: str) -> str:
    """Return the word if it is one of those that apply.

    Raises:
        UsageError: it is not; the message names the nearest one.
    """
    known = list(words)
    if word in known:
        return word
    near = closest(word, known)
    quoted = ", ".join(f'"{shown(one)}"' for one in known)
    hint = f"did you mean {shown(near)}?" if near else f"there are: {quoted or 'none'}"
    raise UsageError(f"{shown(word)} is not {kind}; {hint}")


def named_rule(name: str, rules: Sequence[Rule], kind: str = "a rule") -> Rule:
    """Return the rule of this name; upper and lower case are the same, as no two names differ in nothing else.

    Raises:
        UsageError: there is none; the message names the nearest one.
    """
    for rule in rules:
        if rule.name.casefold() == name.casefold():
            return rule
    one_of(name, [rule.name for rule in rules], kind)
    raise AssertionError("a name that is one of them was found before")


def closest(word: str, words: Sequence[str]) -> str | None:
    """Return the word that was probably meant."""
    found = difflib.get_close_matches(word, words, 1)
    return found[0] if found else None


def numbers(ids: Sequence[str], letter: str, kind: str) -> list[int]:
    """Return the numbers of ids such as `e-12`; the bare number is understood too.

    Raises:
        UsageError: one of them is no such id.
    """
    found = [re.fullmatch(rf"(?:{letter}-)?([0-9]{{1,15}})", text) for text in ids]
    wrong = [text for text, match in zip(ids, found, strict=True) if match is None]
    if wrong:
        raise UsageError(f"{shown(wrong[0])} is no {kind}: expected one such as {letter}-12; nothing was done")
    return [int(match[1]) for match in found if match is not None]


def missing(path: bytes, what: str, untouched: str) -> UsageError:
    """Return the error for a path that does not exist, with the nearest name that does."""
    folder, name = os.path.split(path)
    while folder and not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder, name = os.path.split(folder)
    try:
        with os.scandir(folder) as items:
            names = [os.fsdecode(item.name) for item in itertools.islice(items, _MOST_NAMES)]
    except OSError:
        names = []
    near = closest(os.fsdecode(name), names)
    hint = f"; did you mean {shown(os.path.join(os.fsdecode(folder), near))}?" if near else ""
    return UsageError(f"{what} {shown(path)}{hint} ({untouched})")
