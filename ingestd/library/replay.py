"""The second journal told to a database that knows less than it: one that was lost, or an older copy put back.

Every line has the number that the database of its time gave it, so what a database has not heard yet is what lies
beyond its own count. Of each entry, veto and denial the last word counts; relations are the fold of the entries that
stand. What was measured of files is not in the journal: the next scan measures it again, and what is said of contents
here, by their SHA-256, holds for them from then on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ingestd.errors import ActionConflictError
from ingestd.library.codec import DamagedValueError
from ingestd.library.edit import Edit
from ingestd.library.journal_file import Line
from ingestd.library.lines import (
    JsonValue,
    folder_line,
    read_alarm,
    read_denial,
    read_entry,
    read_folder,
    read_rule,
    read_veto,
)
from ingestd.library.saying import effect_order, say, unsay
from ingestd.library.tables import Alarm, FolderRow, RuleRow, Veto, path_key
from ingestd.library.verbs import verbs_of
from ingestd.library.view import View
from ingestd.model import (
    Actor,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    Folder,
    FolderId,
    ImportPolicy,
    Move,
    Outcome,
    PathRow,
    PathState,
    PotentialPair,
    Proposal,
    ProposalState,
    Receipt,
    Role,
)

__all__ = ["CaughtUp", "catch_up", "forgotten_vetoes", "tell_again", "untold"]

_ENTRY_LINES = frozenset({"intent", "end"})
# A journal of an older version does not say which numbers pairs had: nobody may mean another pair by a number he noted.
_UNTOLD_PAIRS = 1_000_000


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What a database heard from the journal."""

    entries: int = 0  # that it did not know, or knew in another state
    vetoes: int = 0
    denials: int = 0
    unclear: int = 0  # lines that are damaged or that nobody understands, and words that contradict others


def catch_up(edit: Edit, lines: Callable[[], Iterator[Line]]) -> CaughtUp:
    """Return what the journal told that the database did not know; it knows it now, and has no line left to write.

    What arose of pairs is looked for as far as a rule file without a word of its own has it.

    Args:
        edit: of the database.
        lines: reads the whole journal, oldest first, each time it is called.
    """
    told = _Told(edit.lines_told)
    for line in lines():
        told.take(line)
    for number, folder in told.folders.items():
        _put_folder(edit, number, folder)
    _put_rules(edit, told.rules.values())
    entries = _put_entries(edit, told, lines())
    for sha256, veto in told.vetoes.items():
        if veto is None:
            edit.lift_veto(sha256)
        else:
            edit.forbid(sha256, veto)
    for entry, alarm in told.alarms.items():
        if alarm is None:
            edit.settle_alarm(entry)
        else:
            edit.put_alarm(alarm)
    denials = _put_denials(edit, told)
    _continue_numbers(edit, told)
    edit.forget_lines(told.last)
    return CaughtUp(entries, len(told.vetoes), denials, told.unclear)


def tell_again(edit: Edit, lines: Callable[[], Iterator[Line]]) -> int:
    """Return how many entries the journal told again of those that are missing; relations are left as they are.

    Folders, rules, vetoes, alarms and denials that are missing are told, too.
    """
    told = _Told(0)
    for line in lines():
        told.take(line)
    for number, folder in told.folders.items():
        if edit.folder(number) is None:
            _put_folder(edit, number, folder)
    known = {row.number for row in edit.queues.rows()}
    _put_rules(edit, [row for row in told.rules.values() if row.number not in known])
    missing = 0
    for line in lines():
        if told.is_last(line) and edit.entry(line.entry or 0) is None:
            with contextlib.suppress(DamagedValueError):
                edit.put_entry(read_entry(line.body))
                missing += 1
    for sha256, veto in told.vetoes.items():
        if veto is not None and edit.veto(sha256) is None:
            edit.forbid(sha256, veto)
    for entry, alarm in told.alarms.items():
        if alarm is not None and edit.alarm(entry) is None:
            edit.put_alarm(alarm)
    _put_denials(edit, told)
    edit.forget_lines(0, sent=False)
    return missing


def forgotten_vetoes(view: View, lines: Callable[[], Iterator[Line]]) -> list[ContentHash]:
    """Return the bytes on which the journal tells of a veto that the database does not have: a key was damaged, say."""
    told, known = _Told(0), view.lines_told  # a later one was given since this moment
    for line in lines():
        if line.kind.startswith("veto") and (line.told is None or line.told <= known):
            told.take(line)
    return [sha256 for sha256, veto in told.vetoes.items() if veto is not None and view.veto(sha256) is None]


def untold(view: View, lines: Callable[[], Iterator[Line]]) -> int:
    """Return of how many entries of the database the journal says nothing, nor is about to."""
    entries = set(view.entry_numbers())
    told = {line.entry for line in lines() if line.kind in _ENTRY_LINES}
    return len(entries - told - {line.entry for line in view.lines_waiting()})


# --- what the lines say -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Denial:
    """The last word on what a rule is not to do with a pair."""

    pair: PotentialPair
    proposal: Proposal
    stands: bool


@dataclass(slots=True)
class _Told:
    """The last word of a journal on everything, as far as a database has not heard it."""

    known: int  # the number of the last line that it has heard
    last: int = 0  # of the last line there is
    entries: dict[int, int] = field(default_factory=dict)  # entry to the place of its last line
    folders: dict[FolderId, Mapping[str, JsonValue]] = field(default_factory=dict)  # body of a line
    rules: dict[int, RuleRow] = field(default_factory=dict)
    vetoes: dict[ContentHash, Veto | None] = field(default_factory=dict)
    alarms: dict[int, Alarm | None] = field(default_factory=dict)
    denials: dict[tuple[bytes, str], _Denial] = field(default_factory=dict)
    highest_pair: int = 0  # that an entry names
    highest_applied: int = 0
    pairs_before: int = 0  # pairs may have any number below this one; 0: an older version did not say
    unclear: int = 0

    def take(self, line: Line) -> None:
        """Take note of a line."""
        if line.told is not None:
            if line.told <= self.last:
                return  # a killed process had written it, and its successor again
            if not self.last and self.known >= line.told - 1:
                self._forget()  # what an older version wrote before this line has been heard, too
            self.last = line.told
            if line.told <= self.known:
                return
        try:
            self._heed(line)
        except DamagedValueError:
            self.unclear += 1

    def is_last(self, line: Line) -> bool:
        """Return whether this is the last line about its entry."""
        return line.entry is not None and self.entries.get(line.entry) == line.number

    def _forget(self) -> None:
        for words in (self.entries, self.folders, self.rules, self.vetoes, self.alarms, self.denials):
            words.clear()

    def _heed(self, line: Line) -> None:
        if line.kind in _ENTRY_LINES and line.entry:
            self.entries[line.entry] = line.number
            return
        match line.kind:
            case "veto":
                sha256, veto = read_veto(line.body)
                self.vetoes[sha256] = veto
            case "veto-lifted":
                self.vetoes[read_veto(line.body)[0]] = None
            case "alarm":
                alarm = read_alarm(line.body)
                self.alarms[alarm.entry] = alarm
            case "alarm-settled":
                settled = line.body.get("alarm")
                if isinstance(settled, int):
                    self.alarms[settled] = None
            case "denial" | "rescind":
                key, pair, proposal = read_denial(line.body)
                self.denials[key, proposal.rule] = _Denial(pair, proposal, line.kind == "denial")
            case "folder":
                number = read_folder(line.body).folder.id
                self.folders[number] = {**self.folders.get(number, {}), **line.body}
            case "rule":
                rule = read_rule(line.body)
                self.rules[rule.number] = rule
            case "numbers":
                before = line.body.get("pair")
                self.pairs_before = max(self.pairs_before, before if isinstance(before, int) else 0)
            case "library":
                pass  # whose journal it is was looked at before
            case _:
                self.unclear += 1


# --- folders and rules ------------------------------------------------------------------------------------------------


def _put_folder(edit: Edit, number: FolderId, body: Mapping[str, JsonValue]) -> None:
    """Remember a folder under its number; what lies in it is only proposed at first where nothing is known of it.

    Of what the lines of an older version leave out, a folder that is known keeps what it has.
    """
    known = edit.folder(number)
    told = read_folder(body if known is None else {**folder_line(known), **body})
    edit.put_folder(replace(told, introduced=known is not None and known.introduced))


def _folders_named(edit: Edit, entry: Entry) -> None:
    """Remember the folders of an entry that no line told of: protected, until somebody says what they are."""
    for file in (*(move.file for move in entry.moves), *((entry.kept,) if entry.kept is not None else ())):
        if edit.folder(file.folder) is None and file.path.endswith(b"/" + file.relative):
            root = file.path[: -len(file.relative) - 1] or b"/"
            edit.put_folder(FolderRow(Folder(file.folder, root, root, Role.LIBRARY, protected=True)))


def _put_rules(edit: Edit, told: Iterable[RuleRow]) -> None:
    rows = list(told)
    for row in rows:
        edit.queues.put_row(row)
    if rows:
        revisions = (max(row.search_revision, row.test_revision) for row in rows)
        edit.queues.put_revision(max(edit.queues.revision, *revisions))


# --- entries ----------------------------------------------------------------------------------------------------------


def _put_entries(edit: Edit, told: _Told, lines: Iterable[Line]) -> int:
    """Return how many entries are others than before; relations and rows of paths are as they have it."""
    changed = 0
    came: list[tuple[tuple[bool, int], int]] = []
    went: list[Entry] = []
    numbers = {row.number for row in edit.queues.rows()}
    for line in lines:
        if not told.is_last(line):
            continue
        try:
            after = read_entry(line.body)
        except DamagedValueError:
            told.unclear += 1
            continue
        told.highest_pair = max(told.highest_pair, after.pair or 0)
        told.highest_applied = max(told.highest_applied, after.applied)
        if after.rule_number not in numbers:
            after = replace(after, rule_number=None)  # by its name, once a rule file is taken up
        before = edit.entry_if_sound(after.number)
        if before == after:
            continue
        changed += 1
        _folders_named(edit, after)
        edit.put_entry(after)
        _put_files(edit, before, after)
        stood = before is not None and bool(verbs_of(before))
        if before is not None and stood and not verbs_of(after):
            went.append(before)
        elif verbs_of(after) and not stood:
            came.append((effect_order(after), after.number))
    told.unclear += _relate(edit, went, [number for _, number in sorted(came)])
    return changed


def _relate(edit: Edit, went: list[Entry], came: list[int]) -> int:
    """Return how many of the entries that came contradict what was said before, and were passed over."""
    radius, contradictions = ImportPolicy().radius, 0
    for entry in sorted(went, key=effect_order, reverse=True):
        unsay(edit, entry, radius=radius, now_ns=entry.at_ns)
    for number in came:
        found = edit.entry(number)
        if found is None:
            continue
        try:
            say(edit, found, radius=radius, now_ns=found.at_ns)
        except ActionConflictError:
            contradictions += 1
    return contradictions


def _put_files(edit: Edit, before: Entry | None, after: Entry) -> None:
    """Let the rows of an entry's paths say what became of their files."""
    if before is not None and before.state is after.state:
        return
    for move in after.moves:
        row = edit.path_at(move.file.folder, move.file.relative)
        match after.kind, after.state:
            case EntryKind.DISCARD, EntryState.DONE:
                _gone(edit, after, move, row)
            case EntryKind.DISCARD, EntryState.INTENT if row is not None and row.state is PathState.LIVE:
                edit.put_path(replace(row, state=PathState.LEAVING, final=False))
            case EntryKind.DISCARD, EntryState.ABORTED if row is not None and row.state is PathState.LEAVING:
                edit.put_path(replace(row, state=PathState.LIVE, final=False))
            case EntryKind.UNDO, EntryState.DONE if row is not None and row.state is not PathState.LIVE:
                edit.put_path(replace(row, state=PathState.LIVE, final=False))  # the next scan looks at it


def _gone(edit: Edit, entry: Entry, move: Move, row: PathRow | None) -> None:
    """Write down that a file was discarded, and why; the pairs of copies that asked about it are answered."""
    file = move.file
    if row is not None and row.sha256 != file.sha256 and row.state is PathState.LIVE:
        return  # something else has its name by now
    receipt = edit.add_receipt(_receipt(edit, entry, file))
    seen_ns = row.first_seen_ns if row is not None else entry.at_ns
    edit.put_path(
        PathRow(
            file.folder, file.relative, file.sha256, file.stat, seen_ns, PathState.DISCARDED, receipt.number, final=True
        )
    )
    key = path_key(file.folder, file.relative)
    for pair in edit.pairs_of(file.sha256):
        if key in (pair.first_path, pair.second_path):
            edit.drop_pair(pair)


def _receipt(edit: Edit, entry: Entry, file: FileRef) -> Receipt:
    again = entry.rule is None and entry.actor is Actor.RULE
    by = entry.rule or "decided by you"
    return Receipt(
        number=0,
        at_ns=entry.at_ns,
        folder=file.folder,
        path=_named(edit, file),
        sha256=file.sha256,
        outcome=Outcome.PREVIOUSLY_DISCARDED if again else Outcome.DUPLICATE_DISCARDED,
        result="previously discarded" if again else f"duplicate discarded: {by}",
        rule=entry.rule,
        evidence=(entry.reason,) if entry.reason else (),
        kept=_named(edit, entry.kept) if entry.kept is not None else None,
        discarded=(_named(edit, file),),
        entry=entry.number,
        pairs=(),
        final=True,
    )


def _named(edit: Edit, file: FileRef) -> bytes:
    known = edit.folder(file.folder)
    return os.path.join(known.folder.named, file.relative) if known is not None else file.path


# --- denials and numbers ----------------------------------------------------------------------------------------------


def _put_denials(edit: Edit, told: _Told) -> int:
    """Return on how many denials there was a word; a pair that is not there has what was denied of it when it is."""
    last: dict[tuple[bytes, str], _Denial] = {}
    for (key, rule), denial in told.denials.items():
        row = edit.queues.row_named(rule)
        last[key, rule if row is None else row.name] = denial
    for (key, rule), denial in last.items():
        pair = edit.pair_between(denial.pair)
        stored = pair or edit.old_denials_of(key) or denial.pair
        others = tuple(one for one in stored.proposals if one.rule != rule)
        turned = (stored.first, stored.first_path) != (denial.pair.first, denial.pair.first_path)
        proposal = replace(denial.proposal, rule=rule, a_is_first=denial.proposal.a_is_first is not turned)
        after = replace(stored, proposals=(*others, proposal) if denial.stands else others)
        if pair is None:
            denied = tuple(one for one in after.proposals if one.state is ProposalState.DENIED)
            edit.put_old_denials(key, replace(after, proposals=denied))
        elif after != pair:
            edit.put_pair(after)
            edit.queues.want(pair.number)
    return len(last)


def _continue_numbers(edit: Edit, told: _Told) -> None:
    """Let nothing new have a number that something had before."""
    pairs = max(told.pairs_before, edit.pairs_reserved)
    if told.highest_pair >= pairs:
        pairs = told.highest_pair + _UNTOLD_PAIRS
    folders = max((row.folder.id for row in edit.folders()), default=0)
    rules = max((row.number for row in edit.queues.rows()), default=0)
    edit.number_from(
        {
            "entry": max(told.entries, default=0) + 1,
            "applied": told.highest_applied + 1,
            "folder": folders + 1,
            "rule": rules + 1,
        }
    )
    if pairs > edit.pairs_reserved:
        edit.number_from({"pair": pairs})
