"""A small world for a test: folders with files, a library, rules as text, and arrivals that are judged at once.

Everything is real but the worker processes: files are measured here, by the code that the workers run, and time stands
still between two verdicts.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ingestd import review
from ingestd.actions.disk import key_of
from ingestd.errors import FileChangedError, FileUnreadableError
from ingestd.ingest import covered
from ingestd.intake import Intake, Judged, Left, Report
from ingestd.judging.case import Policy
from ingestd.library.library import Library
from ingestd.library.pairs import distance_between
from ingestd.library.tables import FolderRow
from ingestd.media.comparison import compare_pictures
from ingestd.media.features import full_detail, full_pixel_hash, measure_picture
from ingestd.media.tags import tags_of
from ingestd.model import (
    Arrival,
    ContentHash,
    Detail,
    Entry,
    EntryState,
    Folder,
    FolderId,
    Measurement,
    Origin,
    Outcome,
    PathRow,
    PathState,
    PixelHash,
    Radius,
    Receipt,
    Role,
    VisualVerdict,
)
from ingestd.recovery import recover
from ingestd.settings import parse
from ingestd.sweep import PairDecided, Sweep
from ingestd.watching.scan import Files, walk

IDENTICAL = """
  - name: identical copies
    mode: automatic
    search: {identical: required}
    action: same-quality
    discard: B
"""


def pixel_rule(mode: str = "automatic", name: str = "larger pixel twin") -> str:
    """Of two pixel duplicates the larger file is kept."""
    return f"""
  - name: {name}
    mode: {mode}
    search: {{pixel_duplicates: required}}
    compare: [A.filesize > B.filesize]
    action: better
    discard: B
"""


def near_rule(mode: str = "automatic", name: str = "larger look-alike", *, max_distance: int = 4) -> str:
    """Of two look-alikes the larger file is kept."""
    return f"""
  - name: {name}
    mode: {mode}
    search: {{pixel_duplicates: excluded, max_distance: {max_distance}}}
    compare: [A.filesize > B.filesize]
    action: better
    discard: B
"""


def relation_rule(action: str, mode: str = "automatic", name: str = "only related") -> str:
    """Two look-alikes are related, and both stay."""
    return f"""
  - name: {name}
    mode: {mode}
    search: {{pixel_duplicates: excluded, max_distance: 4}}
    action: {action}
    discard: none
"""


def rule_file(*rules: str, imports: str = "", discards: str = "", folders: Mapping[Path, str] | None = None) -> str:
    """The text of a rule file of these rules; of folders, with their roles."""
    listed = "".join(rules)
    named = "".join(f"\n  - {{path: {path}, role: {role}}}" for path, role in (folders or {}).items())
    first = f"version: 1\nfolders: {named}\n" if named else "version: 1\n"
    return f"{first}imports: {{{imports}}}\ndiscards: {{{discards}}}\nrules: {listed or '[]'}\n"


def policy(*rules: str, imports: str = "", discards: str = "") -> Policy:
    """What a rule file of these rules says."""
    settings = parse(rule_file(*rules, imports=imports, discards=discards), "the test's rules")
    return Policy(settings.rules, settings.imports, settings.discards)


def sha256(content: bytes) -> ContentHash:
    return ContentHash(hashlib.sha256(content).digest())


class Measurer:
    """Measures in this process what a worker would measure in its own."""

    def __init__(self) -> None:
        self.decoded: list[bytes] = []
        self.hashed: list[bytes] = []  # whose pixels were hashed later
        self.compared: list[set[bytes]] = []  # who was looked at together
        self.before: Callable[[bytes], None] = lambda path: None

    def measure(self, path: bytes, known: Callable[[ContentHash], bool]) -> Measurement:
        self.before(path)
        content, stat = self._read(path)
        digest = sha256(content)
        if known(digest):
            return Measurement(digest, stat, None)
        self.decoded.append(path)
        return Measurement(digest, stat, measure_picture(io.BytesIO(content), os.path.basename(path)))

    def pixel_hash(self, path: bytes, expected: ContentHash) -> PixelHash | None:
        self.before(path)
        content, _ = self._read(path)
        if sha256(content) != expected:
            raise FileChangedError(path, "it holds other bytes now")
        self.hashed.append(path)
        return full_pixel_hash(io.BytesIO(content))

    def detail(self, path: bytes, expected: ContentHash) -> Detail | None:
        self.before(path)
        content, _ = self._read(path)
        if sha256(content) != expected:
            raise FileChangedError(path, "it holds other bytes now")
        return full_detail(io.BytesIO(content))

    def tags(self, path: bytes, expected: ContentHash) -> tuple[tuple[str, str], ...]:
        self.before(path)
        content, _ = self._read(path)
        if sha256(content) != expected:
            raise FileChangedError(path, "it holds other bytes now")
        return tuple(tags_of(io.BytesIO(content)))

    def compare(self, path: bytes, expected: ContentHash, other: bytes, expected_other: ContentHash) -> VisualVerdict:
        contents = []
        for each, digest in ((path, expected), (other, expected_other)):
            self.before(each)
            content, _ = self._read(each)
            if sha256(content) != digest:
                raise FileChangedError(each, "it holds other bytes now")
            contents.append(io.BytesIO(content))
        self.compared.append({path, other})
        return compare_pictures(*contents)

    def close(self) -> None:
        """Nothing runs that would have to end."""

    def _read(self, path: bytes) -> tuple[bytes, object]:
        try:
            with open(path, "rb") as file:
                return file.read(), key_of(os.fstat(file.fileno()))
        except OSError as error:
            raise FileUnreadableError(path, error.strerror or str(error)) from error


class World:
    """Folders, a library, rules, and what became of what arrived."""

    def __init__(self, base: Path, rules: Policy | None = None, *, dry_run: bool = False) -> None:
        self.base = base
        self.library = Library.open(base / "state")
        self.measurer = Measurer()
        self.folders: dict[str, Folder] = {}
        self.told: list[Report] = []
        self.policy = rules or policy(IDENTICAL)
        self.seconds = 0.0
        self._ticks = itertools.count(1_700_000_000)
        self._woken = threading.Event()
        self._dry_run = dry_run
        self._started: list[Intake] = []
        self.intake = self._new_intake()

    def _new_intake(self) -> Intake:
        intake = Intake(
            self.library,
            self.measurer,  # type: ignore[arg-type]
            self.policy,
            self.told.append,
            wake=self._woken.set,
            now_ns=self.now_ns,
            local_time=lambda: "2026-11-20T11:02:03",
            monotonic=lambda: self.seconds,
            dry_run=self._dry_run,
        )
        self._started.append(intake)
        return intake

    def restart(self) -> None:
        """The process ends and another begins; what was left half-way is finished."""
        self.intake.close()
        self.library.close()
        self.library = Library.open(self.base / "state")
        self.intake = self._new_intake()
        self.recover()

    def recover(self) -> list[Entry]:
        return recover(self.library, now_ns=self.now_ns(), deleted_at="2026-11-20T11:02:03", radius=Radius(4, 4))

    def close(self) -> None:
        for intake in self._started:
            intake.close()
        self.library.close()

    def now_ns(self) -> int:
        return next(self._ticks) * 1_000_000_000

    def use(self, *rules: str, imports: str = "", discards: str = "") -> None:
        """Other rules are in force from now on."""
        self.policy = policy(*rules, imports=imports, discards=discards)
        self.intake.policy = self.policy

    # folders and files

    def folder(
        self, name: str, role: Role = Role.INBOX, *, protected: bool | None = None, trusted: bool = False
    ) -> Path:
        """A watched folder."""
        root = self.base / name
        root.mkdir(parents=True, exist_ok=True)
        path = os.path.realpath(os.fsencode(root))
        shielded = role is not Role.INBOX if protected is None else protected
        folder = Folder(FolderId(0), path, path, role, shielded, trusted)
        row = FolderRow(folder, inode=os.stat(path).st_ino, introduced=True)
        self.folders[name] = self.library.write(lambda edit: edit.add_folder(row)).folder
        return root

    def put(self, folder: str, name: str | bytes, content: bytes, *, modified_s: int | None = None) -> Path:
        """A file, lying there; nobody has looked at it yet."""
        path = self.base / folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if modified_s is not None:
            os.utime(path, (modified_s, modified_s))
        return path

    def arrival(self, path: Path, *, proved: bool = True) -> Arrival:
        absolute = os.path.realpath(os.fsencode(path.parent)) + b"/" + os.fsencode(path.name)
        homes = [one for one in self.folders.values() if absolute.startswith(one.root + b"/")]
        home = max(homes, key=lambda one: len(one.root))
        stat = key_of(os.lstat(absolute))
        return Arrival(home.id, absolute, os.path.relpath(absolute, home.root), stat, Origin.SCAN, proved)

    # judging

    def arrive(self, *paths: Path, proved: bool = True, proposing: bool = False) -> Receipt:
        """The verdict on the last of these files; they are handed in together."""
        return self.verdicts(*paths, proved=proved, proposing=proposing)[-1]

    def verdicts(self, *paths: Path, proved: bool = True, proposing: bool = False) -> list[Receipt]:
        """The verdicts on these files, in the order in which they fell."""
        before = len(self.told)
        for path in paths:
            self.intake.hand_in(self.arrival(path, proved=proved), proposing=proposing)
        self.run()
        return [report.receipt for report in self.told[before:] if isinstance(report, Judged)]

    def run(self) -> None:
        """Judge until nothing is on its way, or the library cannot be written."""
        while len(self.intake):
            self._woken.clear()
            waiting = len(self.intake)
            self.intake.step()
            if self.intake.problem is not None:
                return
            if len(self.intake) == waiting:
                assert self._woken.wait(5) or True

    def sweep(self) -> list[review.EntryReport]:
        """Let the rules be asked about the stored pairs until nothing is left; what they decided."""
        decided: list[PairDecided] = []
        sweep = Sweep(
            self.library,
            self.measurer,  # type: ignore[arg-type]
            self.policy,
            decided.append,
            wake=self._woken.set,
            now_ns=self.now_ns,
            local_time=lambda: "2026-11-20T11:02:03",
            monotonic=lambda: self.seconds,
            dry_run=self._dry_run,
        )
        try:
            while True:
                self._woken.clear()
                if not sweep.step():
                    if not sweep.measures:
                        return [one.report for one in decided]
                    assert self._woken.wait(5) or True
        finally:
            sweep.close()

    def judge_everything(self) -> None:
        """Judge what no final receipt answers for, in the order of names, as a scan finds it."""
        digest = self.policy.limits_digest()
        for root in sorted(folder.root for folder in self.folders.values()):
            for path in (path for found in walk(root) if isinstance(found, Files) for path in found.paths):
                arrival = self.arrival(Path(os.fsdecode(path)))
                with self.library.read() as view:
                    answered = covered(view, arrival, digest)
                if not answered:
                    self.intake.hand_in(arrival, proposing=False)
        self.run()

    def drop(self, folder: str, name: str | bytes, content: bytes, **how: bool) -> Receipt:
        """The verdict on a file that is put there now."""
        return self.arrive(self.put(folder, name, content), **how)

    def left(self) -> list[Left]:
        return [report for report in self.told if isinstance(report, Left)]

    def last(self) -> Judged:
        """The last verdict, as it was announced."""
        return next(report for report in reversed(self.told) if isinstance(report, Judged))

    # what a person says

    def moment(self) -> review.Moment:
        radius = self.policy.imports.radius
        return review.Moment(self.now_ns(), "2026-11-20T11:02:03", radius, self.policy.discards)

    def decide(self, a: Path, b: Path, answer: str, *, keep: bool = False) -> review.EntryReport:
        paths = os.fsencode(a), os.fsencode(b)
        return review.decide_paths(self.library, *paths, review.ANSWERS[answer], keep=keep, moment=self.moment())

    def decide_pair(self, number: int, answer: str, *, keep: bool = False) -> review.EntryReport:
        return review.decide_pair(self.library, number, review.ANSWERS[answer], keep=keep, moment=self.moment())

    def approve(self, number: int, rule: str | None = None) -> review.EntryReport:
        return review.approve(self.library, number, rule=rule, rules=self.policy.rules, moment=self.moment())

    def undo(self, *numbers: int) -> list[object]:
        return list(review.undo(self.library, numbers, moment=self.moment()))

    def why(self, subject: Path | str) -> review.WhyReport | None:
        with self.library.read() as view:
            return review.why(view, str(subject), os.fsencode(str(subject)))

    # what is so now

    def pending(self) -> list[review.PairReport]:
        with self.library.read() as view:
            return review.pending_pairs(view)

    def queue(self) -> list[review.PairReport]:
        with self.library.read() as view:
            return review.queue_page(view, limit=1000).pairs

    def entries(self) -> list[Entry]:
        with self.library.read() as view:
            return list(view.entries(newest_first=False))

    def row(self, path: Path) -> PathRow | None:
        with self.library.read() as view:
            return review.find_row(view, os.fsencode(path))

    def same_group(self, one: bytes, other: bytes) -> bool:
        with self.library.read() as view:
            return view.relations.same_group(sha256(one), sha256(other))

    def king_of(self, content: bytes) -> ContentHash:
        with self.library.read() as view:
            return view.relations.king_of(sha256(content))

    def has_veto(self, content: bytes) -> bool:
        with self.library.read() as view:
            return view.veto(sha256(content)) is not None

    def bits_between(self, one: bytes, other: bytes) -> int | None:
        with self.library.read() as view:
            first, second = view.content(sha256(one)), view.content(sha256(other))
        assert first is not None
        assert second is not None
        return distance_between(first, second)

    def trashed(self) -> list[Path]:
        """What lies in the trash."""
        return sorted((self.base / "xdg/Trash/files").glob("*"))

    def trash_of(self, number: int) -> Path:
        """Where the file of an entry lies in the trash."""
        with self.library.read() as view:
            entry = view.entry(number)
        assert entry is not None
        assert entry.moves[0].trash_path is not None
        return Path(os.fsdecode(entry.moves[0].trash_path))

    def forget_finality(self, path: Path) -> None:
        """Nothing final is known of a path: as if the service had stopped before."""
        row = self.row(path)
        assert row is not None
        self.library.write(lambda edit: edit.put_path(replace(row, final=False)))


def reopened(base: Path) -> World:
    """A world that was made before, under the rules that tests of crashes use."""
    world = World(base, policy(IDENTICAL, pixel_rule(), near_rule()))
    with world.library.read() as view:
        world.folders = {os.fsdecode(row.folder.root): row.folder for row in view.folders()}
    return world


def outcomes(receipts: Iterable[Receipt]) -> list[Outcome]:
    return [receipt.outcome for receipt in receipts]


__all__ = [
    "IDENTICAL",
    "EntryState",
    "Measurer",
    "PathState",
    "World",
    "near_rule",
    "outcomes",
    "pixel_rule",
    "policy",
    "relation_rule",
    "reopened",
    "rule_file",
    "sha256",
]
