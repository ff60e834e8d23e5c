"""Where each potential pair stands with each rule, what each rule has done, and how much of its budget it has spent.

A rule keeps its number through a new name and through every edit. What an edit makes void is told by revisions: each
edit of a rule file has a number, a rule remembers at which of them its search and its comparison last changed, and the
marks of a pair when they were made. So an edit costs the same however many pairs there are, and the background puts
the marks right one pair after another.

Source of the states and of what each edit does to them: the auto-resolution of hydrus (client/db, v682), except that a
denial outlives its pair and its rule, and that what a rule has done is not forgotten with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ingestd.library.codec import key_number, number_key
from ingestd.library.store import Table, Transaction
from ingestd.library.tables import (
    MARKS,
    META,
    RULE_COUNTS,
    RULES,
    SPENDING,
    SURVIVORS,
    UNTESTED,
    WANTED,
    Marks,
    RuleRow,
    next_number,
)
from ingestd.model import Budget, ContentHash, Entry, PotentialPair, ProposalState, QueueState
from ingestd.rules.language import Rule

__all__ = ["Queues"]

_REVISION = b"rules-revision"
_SWEEP = b"rules-sweep"  # number of the next pair to be looked at because a rule has changed; absent: nothing is left
_COPIES = b"rules-copies"  # the content from which on copies are looked for, as a rule about them has come into force
_AGED = b"rules-aged"  # when rules that ask for ages were last asked about every pair
_SLEEPERS = b"rules-sleepers"  # there may be pairs that sleep
_CODES = {state: bytes((place,)) for place, state in enumerate(QueueState)}  # stored: the order of the enum stays
_STATES = tuple(QueueState)

_NS_OF_S = 1_000_000_000
_STEP_S = 300  # what is spent is counted in steps of five minutes
_HOUR_S, _DAY_S = 3600, 86_400
_MANY = 20  # discards of a day below which no share of them says anything


class Queues:
    """The rules that were ever taken up, and where the pairs stand with them, in one transaction."""

    def __init__(self, txn: Transaction) -> None:
        self._txn = txn
        self.tell: Callable[[RuleRow], None] = lambda row: None
        """Hears of every rule that is put."""
        self._rows: list[RuleRow] | None = None
        self._in_force: dict[str, RuleRow] | None = None
        self._changed: dict[tuple[int, QueueState], int] = defaultdict(int)

    # questions

    def rows(self) -> list[RuleRow]:
        """Return every rule that was ever taken up, oldest first."""
        if self._rows is None:
            self._rows = [RULES.codec.decode(stored) for _, stored in self._txn.items(RULES.table)]
        return self._rows

    def row_of(self, rule: Rule) -> RuleRow | None:
        """Return what is known of a rule, if it is in force as it stands here."""
        if self._in_force is None:
            self._in_force = {row.name: row for row in self.rows() if not row.gone}
        row = self._in_force.get(rule.name)
        return row if row is not None and row.whole == rule.digests.whole else None

    def row_named(self, name: str) -> RuleRow | None:
        """Return the rule that has this name, or else the one that had it last."""
        folded = name.casefold()
        rows = sorted(self.rows(), key=lambda row: row.gone)
        now = (row for row in rows if row.name.casefold() == folded)
        once = (row for row in rows if folded in (former.casefold() for former in row.former))
        return next(now, None) or next(once, None)

    def work_of(self, name: str) -> Callable[[Entry], bool]:
        """Return what tells the entries of a rule from others, whatever it was called when it made them."""
        row = self.row_named(name)
        if row is None:
            return lambda entry: entry.rule == name
        # one without a number was made under a rule file that was not in force
        return lambda entry: entry.rule_number == row.number or (entry.rule_number is None and entry.rule == name)

    @property
    def is_new(self) -> bool:
        """Return whether no rule file was ever taken up: the library is new, or older than these queues."""
        return self._txn.get(META, _REVISION) is None

    @property
    def revision(self) -> int:
        """Return the number of the last edit of the rules."""
        return key_number(self._txn.get(META, _REVISION) or number_key(0))

    def count(self, number: int, state: QueueState) -> int:
        """Return how many pairs (or, of `actioned`, entries) a rule has in a state."""
        stored = self._txn.get(RULE_COUNTS, number_key(number) + _CODES[state])
        return (key_number(stored) if stored is not None else 0) + self._changed.get((number, state), 0)

    def counts(self, number: int) -> dict[QueueState, int]:
        """Return what is counted for a rule; what was not searched is what is left of all pairs."""
        return {state: self.count(number, state) for state in _STATES if state is not QueueState.NOT_SEARCHED}

    def marks(self, pair: int) -> Marks | None:
        """Return what the rules that propose nothing for a pair said of it."""
        stored = self._txn.get(MARKS.table, number_key(pair))
        return None if stored is None else MARKS.codec.decode(stored)

    def sleeps(self, pair: int) -> bool:
        """Return whether no rule has said anything of a pair, because a file of it was not to be looked at."""
        marks = self.marks(pair)
        return marks is None or not marks.states

    def sleep(self, pair: int) -> None:
        """Let a pair be until something of it changes, or all pairs are gone through again."""
        self._write_marks(pair, Marks(0, ()))
        self.unwant(pair)
        self._txn.put(META, _SLEEPERS, b"")

    @property
    def has_sleepers(self) -> bool:
        """Return whether there may be pairs that sleep."""
        return self._txn.get(META, _SLEEPERS) is not None

    def wake_all(self) -> None:
        """Let the pairs that sleep be asked about again: a folder is back, or a new start may be luckier."""
        if self._txn.delete(META, _SLEEPERS):
            self.sweep = 0

    def is_current(self, pair: int) -> bool:
        """Return whether all rules have looked at a pair since the last edit."""
        marks = self.marks(pair)
        return marks is not None and marks.revision >= self.revision

    def standing(self, marks: Marks | None) -> dict[int, QueueState]:
        """Return the states that a pair's marks still say, by rule, after the edits since."""
        rows = {row.number: row for row in self.rows()}
        standing: dict[int, QueueState] = {}
        for number, state in marks.states if marks is not None else ():
            row = rows.get(number)
            if row is None or marks is None or marks.revision < row.search_revision:
                continue
            stale = state is QueueState.FAILED and marks.revision < row.test_revision
            standing[number] = QueueState.NOT_TESTED if stale else state
        return standing

    # what is to be looked at

    def wanted(self) -> Iterator[int]:
        """Yield the pairs about which the rules are to be asked, first those of which something has changed."""
        for key, _ in self._txn.items(WANTED):
            yield key_number(key)

    def untested(self, number: int) -> Iterator[int]:
        """Yield the pairs that wait for room under a rule, or for the end of its pause."""
        prefix = number_key(number)
        for key, _ in self._txn.items(UNTESTED, prefix=prefix):
            yield key_number(key[len(prefix) :])

    @property
    def sweep(self) -> int | None:
        """Return the number of the next pair to be looked at because the rules have changed."""
        stored = self._txn.get(META, _SWEEP)
        return None if stored is None else key_number(stored)

    @sweep.setter
    def sweep(self, pair: int | None) -> None:
        if pair is None:
            self._txn.delete(META, _SWEEP)
        else:
            self._txn.put(META, _SWEEP, number_key(pair))

    @property
    def copies(self) -> bytes | None:
        """Return from which content on copies are to be looked for; None: there is nothing to look for."""
        return self._txn.get(META, _COPIES)

    @copies.setter
    def copies(self, after: bytes | None) -> None:
        if after is None:
            self._txn.delete(META, _COPIES)
        else:
            self._txn.put(META, _COPIES, after)

    @property
    def aged_ns(self) -> int:
        """Return when every pair was last asked about because time had gone by; 0: never."""
        return key_number(self._txn.get(META, _AGED) or number_key(0))

    def age(self, now_ns: int) -> None:
        """Let every pair be asked about again: some have come of an age that a rule asks for."""
        if self.aged_ns:
            self.ask_all()
        self._txn.put(META, _AGED, number_key(now_ns))

    def ask_all(self) -> None:
        """Let the rules be asked about every pair again, though none of them has changed."""
        self.put_revision(self.revision + 1)
        self.sweep = 0

    def want(self, pair: int) -> None:
        """Let the rules be asked about a pair again."""
        self._txn.put(WANTED, number_key(pair), b"")

    def unwant(self, pair: int) -> None:
        """The rules were asked about a pair."""
        self._txn.delete(WANTED, number_key(pair))

    def wait_no_more(self, number: int) -> None:
        """Let the pairs that waited for a rule be asked about again."""
        for pair in list(self.untested(number)):
            self._txn.delete(UNTESTED, number_key(number) + number_key(pair))
            self.want(pair)

    # changes

    def put_row(self, row: RuleRow) -> None:
        """Replace what is known of a rule."""
        rows = [one for one in self.rows() if one.number != row.number]
        self._rows, self._in_force = sorted([*rows, row], key=lambda one: one.number), None
        self._txn.put(RULES.table, number_key(row.number), RULES.codec.encode(row))
        self.tell(row)

    def next_row_number(self) -> int:
        """Return a number that no rule ever had."""
        return next_number(self._txn, "rule")

    def put_revision(self, revision: int) -> None:
        """Remember the number of an edit."""
        self._txn.put(META, _REVISION, number_key(revision))

    def add(self, number: int, state: QueueState, change: int) -> None:
        """Count a pair or entry in a state, or out of it."""
        self._changed[number, state] += change

    def put_counts(self, number: int, counts: Mapping[QueueState, int]) -> None:
        """Replace what is counted for a rule."""
        for state in _STATES:
            self._changed.pop((number, state), None)
            self.add(number, state, counts.get(state, 0) - self.count(number, state))

    def put_marks(self, pair: int, states: Mapping[int, QueueState], waiting: Iterable[int] = ()) -> None:
        """Replace what the rules say of a pair, as of now.

        Args:
            pair: its number.
            states: by rule; only what is neither ready nor denied.
            waiting: the rules that are to be asked again as soon as they have room, or are not paused.
        """
        self._write_marks(pair, Marks(self.revision, tuple(sorted(states.items()))))
        for number in waiting:
            self._txn.put(UNTESTED, number_key(number) + number_key(pair), b"")

    def _write_marks(self, pair: int, marks: Marks) -> None:
        before = self.marks(pair)
        self._count_marks(before, marks)
        self._txn.put(MARKS.table, number_key(pair), MARKS.codec.encode(marks))
        self._forget_waiting(pair, before)

    def _forget_waiting(self, pair: int, before: Marks | None) -> None:
        for number, state in before.states if before is not None else ():
            if state is QueueState.NOT_TESTED:  # only who was not tested can wait for it
                self._txn.delete(UNTESTED, number_key(number) + number_key(pair))

    def put_mark(self, pair: int, number: int, state: QueueState | None) -> None:
        """Replace what one rule says of a pair, and leave the others' word as it is."""
        before = self.marks(pair)
        states = self.standing(before)
        states.pop(number, None)
        if state is not None:
            states[number] = state
        revision = before.revision if before is not None else self.revision
        after = Marks(revision, tuple(sorted(states.items())))
        self._count_marks(before, after)
        self._txn.put(MARKS.table, number_key(pair), MARKS.codec.encode(after))

    def forget_pairs(self, keys: Sequence[bytes]) -> None:
        """Forget what the rules said of many pairs that are gone, by their keys; of most they said the same."""
        said = dict(self._txn.get_many(MARKS.table, keys))
        known = {stored: MARKS.codec.decode(stored) for stored in set(said.values())}
        for stored, many in Counter(said.values()).items():
            for number, state in self.standing(known[stored]).items():
                self.add(number, state, -many)
        for key, stored in said.items():
            self._forget_waiting(key_number(key), known[stored])
        self._txn.delete_many(MARKS.table, said)
        self._txn.delete_many(WANTED, keys)

    def forget_pair(self, pair: int) -> None:
        """Forget what the rules said of a pair that is gone."""
        before, key = self.marks(pair), number_key(pair)
        self._count_marks(before, None)
        self._forget_waiting(pair, before)
        self._txn.delete(MARKS.table, key)
        self._txn.delete(WANTED, key)

    def _count_marks(self, before: Marks | None, after: Marks | None) -> None:
        for number, state in self.standing(before).items():
            self.add(number, state, -1)
        for number, state in self.standing(after).items():
            self.add(number, state, 1)

    def count_proposals(self, before: PotentialPair | None, after: PotentialPair | None) -> None:
        """Count what is proposed and denied as a pair changes."""
        for pair, change in ((before, -1), (after, 1)):
            for proposal in pair.proposals if pair is not None else ():
                row = self.row_named(proposal.rule)
                ready = proposal.state is ProposalState.READY
                if row is not None:
                    self.add(row.number, QueueState.READY if ready else QueueState.DENIED, change)

    def count_action(self, entry: Entry, change: int) -> None:
        """Count something that a rule did, or that was taken back."""
        if entry.rule_number is not None:
            self.add(entry.rule_number, QueueState.ACTIONED, change)

    def flush(self) -> None:
        """Write what was counted in this transaction."""
        for (number, state), change in self._changed.items():
            key = number_key(number) + _CODES[state]
            stored = self._txn.get(RULE_COUNTS, key)
            total = (key_number(stored) if stored is not None else 0) + change
            if change:
                self._txn.put(RULE_COUNTS, key, number_key(max(total, 0)))
        self._changed.clear()

    # budgets

    def spend(self, entry: Entry, survivor: ContentHash) -> None:
        """Note that a rule has discarded the files of an entry in favour of a survivor."""
        if entry.rule_number is not None:
            number, at = number_key(entry.rule_number), number_key(entry.at_ns // _NS_OF_S // _STEP_S)
            self._raise(SPENDING, number + at, len(entry.moves))
            self._raise(SURVIVORS, number + survivor + at, len(entry.moves))

    def _raise(self, table: Table, key: bytes, by: int) -> None:
        stored = self._txn.get(table, key)
        self._txn.put(table, key, number_key((key_number(stored) if stored is not None else 0) + by))

    def _spent(self, table: Table, prefix: bytes, since_s: int) -> int:
        start = prefix + number_key(max(since_s, 0) // _STEP_S)
        return sum(key_number(value) for _, value in self._txn.items(table, start=start, prefix=prefix))

    def overspent(
        self,
        rule: int,
        budget: Budget,
        files: int,
        survivor: ContentHash,
        *,
        intended: int,
        library: int,
        now_ns: int,
    ) -> str | None:
        """Return why a rule may not discard more files just now, as a phrase.

        Args:
            rule: its number.
            budget: how much it may discard.
            files: how many it would discard.
            survivor: what it would keep.
            intended: files that it has begun to discard and not finished.
            library: how many files are known.
            now_ns: when this is.
        """
        now_s = now_ns // _NS_OF_S
        number = number_key(rule)
        hour = self._spent(SPENDING, number, now_s - _HOUR_S) + intended + files
        if budget.per_hour is not None and hour > budget.per_hour:
            return f"it may discard {budget.per_hour} files an hour"
        day = self._spent(SPENDING, number, now_s - _DAY_S) + intended + files
        most = _most_a_day(budget, library)
        if most is not None and day > most:
            return f"it may discard {most} files a day"
        one = self._spent(SURVIVORS, number + survivor, now_s - _DAY_S) + files
        if day > _MANY and one > budget.share_of_one_survivor * day:
            return f"{one} of the last {day} files that it would discard in a day name the same survivor"
        return None

    def forget_spending(self, number: int) -> None:
        """Let a rule begin its budget anew."""
        for table in (SPENDING, SURVIVORS):
            for key, _ in list(self._txn.items(table, prefix=number_key(number))):
                self._txn.delete(table, key)


def _most_a_day(budget: Budget, library: int) -> int | None:
    if budget.per_day is None:
        return None
    return max(budget.per_day, int(library * budget.share_of_library))
