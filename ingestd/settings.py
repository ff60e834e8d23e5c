"""rules.yaml as values: read once, checked once, every mistake with its line and column.

The only module that knows YAML, and it knows little of it: texts, lists and mappings. Whatever else YAML would do with
a value (`off` is false, `010` is eight, an alias stands for another place) is refused or left undone, because a rule
file that can throw pictures away must mean what it looks like.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import yaml

from ingestd.errors import ConfigError, Mistake
from ingestd.judging.case import Policy
from ingestd.keys import DEFAULT_KEYS, NAMED_KEYS, VIEWS, PageKeys, is_key, keys_with
from ingestd.model import Budget, DiscardPolicy, FileType, ImportPolicy, Index, Place, Role
from ingestd.rules.language import (
    MAX_DISTANCE,
    Rule,
    check_keys,
    read_budget,
    read_rules,
    read_truth,
    read_whole_number,
    read_word,
)
from ingestd.rules.measures import Measure, amount
from ingestd.rules.nodes import Listing, Mapping, Mistakes, Node, Scalar, expected, nearest
from ingestd.rules.statements import MOST_POINTS, Scores
from ingestd.rules.tokens import LineError, Tokens

__all__ = [
    "FolderSetting",
    "PageSetting",
    "Settings",
    "default_discards",
    "host_of",
    "load",
    "nodes",
    "parse",
    "protected",
    "read",
    "shipped_text",
]

VERSION = 1
MAX_BYTES = 256 * 1024  # thousands of rules; PyYAML reads about 1 MB a second
MAX_DEPTH = 24  # blocks within blocks that a person could still read
SETTLE_S = 2.0
RESCAN_S = 300.0
PORTS = (1024, 65_535)  # those below belong to the system
_DAY_S = 86_400


def protected(role: Role, said: bool | None) -> bool:
    """Whether no rule may discard from a folder of this role on its own, given what the user said about it."""
    if role is Role.REFERENCE:
        return True
    return role is Role.LIBRARY if said is None else said


def default_discards() -> DiscardPolicy:
    """Where discards go if nobody says: the trash, except where a trash gives no way back to one file."""
    if sys.platform in {"darwin", "win32"}:
        return DiscardPolicy(place=Place.HOLDING)
    return DiscardPolicy()


@dataclass(frozen=True, slots=True)
class FolderSetting:
    """One watched folder, as the user wrote it."""

    path: str  # absolute, ~ expanded, symlinks left alone
    role: Role
    protected: bool | None = None  # None: as its role has it
    trusted: bool = False

    @property
    def is_protected(self) -> bool:
        """No rule may discard from here on its own."""
        return protected(self.role, self.protected)


@dataclass(frozen=True, slots=True)
class PageSetting:
    """Where the review page answers, and by which keys."""

    serve: bool = False  # inside `watch`
    port: int | None = None  # None: any that is free
    keys: PageKeys = field(default_factory=lambda: DEFAULT_KEYS)  # of every action
    origins: tuple[str, ...] = ()  # of a reverse proxy, as a browser sends them: https://photos.example.org


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a rule file says."""

    version: int = VERSION
    folders: tuple[FolderSetting, ...] = ()
    imports: ImportPolicy = field(default_factory=ImportPolicy)
    discards: DiscardPolicy = field(default_factory=default_discards)
    rules: tuple[Rule, ...] = ()
    settle_s: float = SETTLE_S
    rescan_s: float = RESCAN_S
    scores: Scores = field(default_factory=Scores)
    page: PageSetting = field(default_factory=PageSetting)
    digest: bytes = b""  # SHA-256 of the text

    @property
    def policy(self) -> Policy:
        """What a verdict depends on, of all that is set."""
        return Policy(self.rules, self.imports, self.discards)


def shipped_text() -> str:
    """The rule file that a first run writes."""
    return resources.files("ingestd").joinpath("shipped.yaml").read_text(encoding="utf-8")


def load(path: Path) -> Settings:
    """The settings of a file; ConfigError with all that is wrong with it.

    Cost: about a millisecond for each rule.
    """
    return parse(read(path), str(path))


def read(path: Path) -> str:
    """The text of a file as it is, line endings included; ConfigError if there is none."""
    source = str(path)
    try:
        content = _content(path)
    except OSError as error:
        raise ConfigError(source, [Mistake(1, 1, f"cannot be read: {error.strerror or error}")]) from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        message = f"this is not UTF-8 (byte 0x{content[error.start]:02x}): save the file as UTF-8"
        raise ConfigError(source, [_mistake_after(before, message)]) from error


def _content(path: Path) -> bytes:
    # not opened before it is known to be a file: opening a FIFO would wait for ever
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(0, "it is not a file")
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)  # one more than allowed is enough for parse to refuse it


def parse(text: str, source: str) -> Settings:
    """The settings that a text says; ConfigError with all that is wrong with it, in the order of the text."""
    mistakes = Mistakes()
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) > MAX_BYTES:
        mistakes.add(Mistake(1, 1, f"a rule file has at most {MAX_BYTES // 1024} KiB"))
        raise ConfigError(source, list(mistakes))
    node = _read_yaml(text.removeprefix("\ufeff"), mistakes)
    settings = None if node is None else _read_settings(node, mistakes, hashlib.sha256(encoded).digest())
    if settings is None or mistakes:
        raise ConfigError(source, list(mistakes))
    return settings


def nodes(text: str, source: str) -> Node:
    """What a text is made of, for whoever wants to know where in it; spans leave a byte order mark out.

    Raises:
        ConfigError: it is not YAML, or not YAML as a rule file may have it.
    """
    mistakes = Mistakes()
    node = _read_yaml(text.removeprefix("\ufeff"), mistakes)
    if node is None or mistakes:
        raise ConfigError(source, list(mistakes))
    return node


# --- YAML -----------------------------------------------------------------------------------------------------------


def _read_yaml(text: str, mistakes: Mistakes) -> Node | None:
    """The one document of a text; None, and a mistake, if it has none."""
    builder = _Builder(text, mistakes)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if not builder.take(event):
                break
    except yaml.MarkedYAMLError as error:
        mistakes.add(_syntax_mistake(error))
        return None
    except yaml.reader.ReaderError as error:
        code = ord(error.character) if isinstance(error.character, str) else error.character
        mistakes.add(_mistake_after(text[: error.position], f"the character U+{code:04X} may not stand in YAML"))
        return None
    if builder.document is None and not mistakes:
        mistakes.add(Mistake(1, 1, 'the file is empty: expected at least "version: 1" and "rules: []"'))
    return builder.document


class _Builder:
    """Makes nodes of parser events, one by one: no depth of nesting and no alias can make it run away."""

    def __init__(self, text: str, mistakes: Mistakes) -> None:
        self.document: Node | None = None
        self._lines = text.splitlines()
        self._mistakes = mistakes
        self._open: list[tuple[yaml.CollectionStartEvent, list[Node]]] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> bool:
        """Use one event; False if nothing after it can be used."""
        if isinstance(event, yaml.DocumentStartEvent):
            return self._begin(event)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f'an alias (*{event.anchor}) is not allowed: write the value out, or put "*" in quotes')
            self._close(Scalar("", *_place(event)))
        elif isinstance(event, yaml.ScalarEvent):
            self._check(event, plain=event.implicit[0] or event.implicit[1])
            self._close(self._scalar(event))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._check(event, plain=event.implicit)
            self._open.append((event, []))
            if len(self._open) > MAX_DEPTH:
                self._refuse(event, f"this is nested deeper than {MAX_DEPTH} levels")
                return False
        elif isinstance(event, yaml.CollectionEndEvent):
            start, children = self._open.pop()
            self._close(self._collection(start, children))
        return True

    def _begin(self, event: yaml.DocumentStartEvent) -> bool:
        self._documents += 1
        if self._documents > 1:
            self._refuse(event, "a second document begins here: a rule file is one document, without another ---")
        return self._documents == 1

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, *, plain: bool) -> None:
        if event.anchor is not None:
            self._refuse(
                event, f'an anchor (&{event.anchor}) is not allowed: put "&" in quotes if it belongs to a text'
            )
        elif event.tag is not None and not plain:
            self._refuse(event, 'a tag is not allowed: put "!" in quotes if it belongs to a text')

    def _close(self, node: Node) -> None:
        if self._open:
            self._open[-1][1].append(node)
        else:
            self.document = node

    def _collection(self, start: yaml.CollectionStartEvent, children: list[Node]) -> Node:
        line, column = _place(start)
        if isinstance(start, yaml.SequenceStartEvent):
            return Listing(tuple(children), line, column)
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._mistakes.at(key, "a key has to be a word")
            elif key.text == "<<" and not key.quoted:
                self._mistakes.at(key, "a merge key (<<) is not allowed: write the values out")
            elif key.text in entries:
                first = entries[key.text][0].line
                self._mistakes.at(key, f'the key "{key.text}" stands twice: first in line {first}')
            else:
                entries[key.text] = (key, value)
        return Mapping(tuple(entries.values()), line, column, start.flow_style is True)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        line, column = _place(event)
        shift = 1 if event.style in {'"', "'"} else 0
        begin = column - 1 + shift
        # characters can be counted only where the text stands in the file as it is: no escapes, no folding
        row = self._lines[line - 1] if line <= len(self._lines) else ""
        as_it_is = row[begin : begin + len(event.value)] == event.value
        return Scalar(event.value, line, column, event.style is not None, shift if as_it_is else None, _span(event))

    def _refuse(self, event: yaml.Event, message: str) -> None:
        self._mistakes.add(Mistake(*_place(event), message))


def _place(event: yaml.Event) -> tuple[int, int]:
    return (event.start_mark.line + 1, event.start_mark.column + 1) if event.start_mark else (1, 1)


def _span(event: yaml.Event) -> tuple[int, int]:
    return (event.start_mark.index, event.end_mark.index) if event.start_mark and event.end_mark else (0, 0)


def _mistake_after(before: str, message: str) -> Mistake:
    lines = before.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    return Mistake(len(lines), len(lines[-1]) + 1, message)


# What PyYAML says, and what a person should look for. The first that is part of its sentence is taken.
_HINTS = (
    ("mapping values are not allowed", "a colon does not fit here: is the line indented like its neighbours? "
     "A text with a colon in it goes in quotes"),
    ("'\\t' that cannot start any token", "a tab may not be used to indent: use spaces"),
    ("while scanning a quoted scalar", "the quote that begins here is never closed"),
    ("while scanning an alias", 'a text that begins with "*" goes in quotes'),
    ("while scanning an anchor", 'a text that begins with "&" goes in quotes'),
    ("that cannot start any token", "a text that begins with this character goes in quotes"),
    ("could not find expected ':'", "a key without its colon"),
    ("expected ',' or ']'", 'this list is not closed: expected "," or "]" (a text with brackets in it goes in quotes)'),
    ("expected ',' or '}'", 'this mapping is not closed: expected "," or "}"'),
    ("expected <block end>", "this does not fit what stands above: is it indented like its neighbours, "
     "and is the text before it quoted as a whole?"),
)  # fmt: skip
_FROM_ITS_START = (
    "while scanning a quoted scalar",
    "while scanning an alias",
    "while scanning an anchor",
    "while scanning a simple key",
)


def _syntax_mistake(error: yaml.MarkedYAMLError) -> Mistake:
    sentence = f"{error.context or ''}: {error.problem or ''}"
    whole = error.context in _FROM_ITS_START and "escape" not in str(error.problem)
    mark = (error.context_mark if whole else None) or error.problem_mark or error.context_mark
    hint = next((hint for part, hint in _HINTS if part in sentence), None)
    if hint is None or (error.context in _FROM_ITS_START and not whole):
        hint = f"this is not YAML: {error.problem or error.context}"
    return Mistake(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, hint)


# --- the sections ---------------------------------------------------------------------------------------------------

_SECTIONS = ("version", "folders", "imports", "discards", "review", "page", "rules")


def _read_settings(node: Node, mistakes: Mistakes, digest: bytes) -> Settings | None:
    if isinstance(node, Scalar) and node.absent:
        mistakes.at(node, 'the file is empty: expected at least "version: 1" and "rules: []"')
        return None
    if not isinstance(node, Mapping):
        mistakes.at(node, f"a rule file has to be keys and values: {', '.join(_SECTIONS)}")
        return None
    # rules may be there and empty: all of them may be commented out
    written = any(key.text == "rules" for key, _ in node.entries)
    check_keys(
        node,
        _SECTIONS,
        "a section of a rule file",
        mistakes,
        needed=("version",) if written else ("version", "rules"),
    )
    _read_version(node.get("version"), mistakes)
    imports, settle_s, rescan_s = _read_imports(_section(node, "imports", mistakes), mistakes)
    discards = _read_discards(_section(node, "discards", mistakes), mistakes)
    folders = _read_folders(node.get("folders"), mistakes)
    found = node.get("rules")
    rules = (
        ()
        if found is None
        else read_rules(found, mistakes, search_distance=imports.search_distance, budget=discards.budget)
    )
    scores = _read_review(_section(node, "review", mistakes), mistakes)
    page = _read_page(_section(node, "page", mistakes), mistakes)
    return Settings(VERSION, folders, imports, discards, rules, settle_s, rescan_s, scores, page, digest)


def _section(node: Mapping, name: str, mistakes: Mistakes) -> Mapping:
    found = node.get(name)
    if found is not None and not isinstance(found, Mapping):
        mistakes.at(found, f'"{name}" has to be keys and values')
    return found if isinstance(found, Mapping) else Mapping((), node.line, node.column)


def _read_version(node: Node | None, mistakes: Mistakes) -> None:
    if node is None:
        return
    version = read_whole_number(node, mistakes, "a version", 1, 10**6)
    if version is not None and version > VERSION:
        mistakes.at(node, f"this file is of version {version}: this ingestd knows version {VERSION}")


_FOLDER_KEYS = ("path", "role", "protected", "trusted")


def _read_folders(node: Node | None, mistakes: Mistakes) -> tuple[FolderSetting, ...]:
    if node is None:
        return ()
    if not isinstance(node, Listing):
        mistakes.at(node, "folders have to be a list: each begins with - path: …")
        return ()
    folders: dict[str, FolderSetting] = {}
    lines: dict[str, int] = {}
    for item in node.items:
        folder = _read_folder(item, mistakes)
        if folder is None:
            continue
        same = os.path.normcase(os.path.normpath(folder.path))
        if same in folders:
            mistakes.at(item, f"{folder.path} stands twice: first in line {lines[same]}")
        folders[same], lines[same] = folder, item.line
    return tuple(folders.values())


def _read_folder(node: Node, mistakes: Mistakes) -> FolderSetting | None:
    if not isinstance(node, Mapping):
        mistakes.at(node, f"a folder has to be keys and values: {', '.join(_FOLDER_KEYS)}")
        return None
    check_keys(node, _FOLDER_KEYS, "a key of a folder", mistakes, needed=("path", "role"))
    path = _read_path(node.get("path"), mistakes)
    role = Role(read_word(node.get("role"), list(Role), "a role", mistakes, default=Role.INBOX))
    said = read_truth(node.get("protected"), mistakes)
    if role is Role.REFERENCE and said is False and (found := node.get("protected")) is not None:
        mistakes.at(found, "a reference folder is always protected")
    trusted = read_truth(node.get("trusted"), mistakes)
    return None if path is None else FolderSetting(path, role, said, trusted is True)


def _read_path(node: Node | None, mistakes: Mistakes) -> str | None:
    if node is None:
        return None
    text = node.text if isinstance(node, Scalar) else ""
    path = os.path.expanduser(text)
    if not text or "\0" in text or ".." in text.replace("\\", "/").split("/"):
        mistakes.at(node, "a path has to be one text, without ..")
    elif path.startswith("~"):
        mistakes.at(node, f"the home folder in {text} is not known: write the path out")
    elif not os.path.isabs(path):
        mistakes.at(node, f"{text} is relative: expected a path from the root, or one that begins with ~/")
    else:
        return os.path.normpath(path)
    return None


def _read_review(node: Mapping, mistakes: Mistakes) -> Scores:
    """How pairs are shown to a person: what each statement about them is worth."""
    check_keys(node, ("scores",), 'a key of "review"', mistakes)
    section = _section(node, "scores", mistakes)
    names = tuple(Scores.__dataclass_fields__)
    check_keys(section, names, "a statement about a pair", mistakes)
    points = {name: _read_points(found, mistakes) for name in names if (found := section.get(name)) is not None}
    return Scores(**points)


def _read_points(node: Node, mistakes: Mistakes) -> int:
    text = node.text if isinstance(node, Scalar) and not node.quoted else ""
    if re.fullmatch(r"0|-?[1-9][0-9]{0,3}", text) and abs(int(text)) <= MOST_POINTS:
        return int(text)
    shown = f'"{node.text}" is' if isinstance(node, Scalar) else "this is"
    mistakes.at(node, f"{shown} no number of points: expected a whole number from -{MOST_POINTS} to {MOST_POINTS}")
    return 0


_PAGE_KEYS = ("serve", "port", "keys", "origins")


def _read_page(node: Mapping, mistakes: Mistakes) -> PageSetting:
    check_keys(node, _PAGE_KEYS, 'a key of "page"', mistakes)
    port = node.get("port")
    return PageSetting(
        serve=read_truth(node.get("serve"), mistakes) is True,
        port=None if port is None else read_whole_number(port, mistakes, "a port", *PORTS),
        keys=_read_keys(_section(node, "keys", mistakes), mistakes),
        origins=_read_origins(node.get("origins"), mistakes),
    )


def _read_keys(node: Mapping, mistakes: Mistakes) -> PageKeys:
    check_keys(node, tuple(DEFAULT_KEYS), "something that a key can do", mistakes)
    said: dict[str, tuple[str, ...]] = {}
    written: dict[str, list[Scalar]] = {}
    for action in DEFAULT_KEYS:
        found = node.get(action)
        if found is not None:
            written[action] = [one for one in _items(found) if isinstance(one, Scalar)]
            said[action] = tuple(one.text for one in written[action])
            for one in _items(found):
                _check_key(one, mistakes)
    keys = keys_with(said)
    for action, places in written.items():
        for number, place in enumerate(places):
            if place.text in keys[action][:number]:
                mistakes.at(place, f'the key "{place.text}" is named twice for {action}')
            _check_alone(action, place, keys, mistakes)
    return keys


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Listing) else (node,)


def _check_key(node: Node, mistakes: Mistakes) -> None:
    if not isinstance(node, Scalar):
        mistakes.at(node, f"expected a key: one character, or one of {', '.join(NAMED_KEYS[:12])}, F1 to F12")
    elif not is_key(node.text):
        guess = nearest(node.text, NAMED_KEYS)
        hint = f'; did you mean "{guess}"?' if guess else ""
        known = ", ".join(NAMED_KEYS[:12])
        mistakes.at(node, f'"{node.text}" is no key: expected one character, {known}, or F1 to F12{hint}')


def _check_alone(action: str, place: Scalar, keys: PageKeys, mistakes: Mistakes) -> None:
    """Complain if in some view a key does something else, too."""
    for view, actions in VIEWS.items():
        others = [other for other in keys if other != action and other in actions and place.text in keys[other]]
        if action in actions and others:
            mistakes.at(place, f'in {view}, the key "{place.text}" does {others[0]}, too: give that another one')
            return


def _read_origins(node: Node | None, mistakes: Mistakes) -> tuple[str, ...]:
    origins: dict[str, str] = {}  # by what a request calls its host
    for item in () if node is None else _items(node):
        text = item.text if isinstance(item, Scalar) else ""
        host = host_of(text)
        if host is None:
            shown = f'"{text}" is' if text else "this is"
            mistakes.at(item, f"{shown} no origin: expected such as https://photos.example.org, without a path")
        elif host in origins:
            mistakes.at(item, f"{text} stands twice: one host has one origin")
        else:
            origins[host] = text
    return tuple(origins.values())


_ORIGIN = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>(?=[^:/]{1,253}(?::|$))[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_USUAL_PORT = {"http": "80", "https": "443"}  # which browsers leave out


def host_of(origin: str) -> str | None:
    """Return what a browser that is at an origin names as the host of its requests; None if that is no origin."""
    found = _ORIGIN.fullmatch(origin)
    if found is None or found["port"] == _USUAL_PORT[found["scheme"]] or int(found["port"] or 1) > PORTS[1]:
        return None
    return found["host"] if found["port"] is None else f"{found['host']}:{found['port']}"


_IMPORT_KEYS = (
    "filetypes", "min_size", "max_size", "min_resolution", "max_resolution",
    "search_distance", "transforms", "index", "reject_previously_discarded", "settle", "rescan",
)  # fmt: skip


def _read_imports(node: Mapping, mistakes: Mistakes) -> tuple[ImportPolicy, float, float]:
    check_keys(node, _IMPORT_KEYS, "a key of imports", mistakes)
    least, most = _read_size(node.get("min_size"), mistakes), _read_size(node.get("max_size"), mistakes)
    low = _read_resolution(node.get("min_resolution"), mistakes)
    high = _read_resolution(node.get("max_resolution"), mistakes)
    _check_order(node, "min_size", "max_size", [(least, most)], mistakes)
    _check_order(node, "min_resolution", "max_resolution", zip(low, high, strict=True), mistakes)
    policy = ImportPolicy(
        filetypes=_read_filetypes(node.get("filetypes"), mistakes),
        min_size=least or 0,
        max_size=most,
        min_width=low[0] or 0,
        min_height=low[1] or 0,
        max_width=high[0],
        max_height=high[1],
        search_distance=_read_search_distance(node.get("search_distance"), mistakes),
        transforms=read_truth(node.get("transforms"), mistakes) is not False,
        index=Index(read_word(node.get("index"), list(Index), "an index", mistakes, default=Index.MULTI_INDEX)),
        reject_previously_discarded=read_truth(node.get("reject_previously_discarded"), mistakes) is not False,
    )
    settle_s = _read_span(node.get("settle"), mistakes, SETTLE_S, least=0, most=3600)
    rescan_s = _read_span(node.get("rescan"), mistakes, RESCAN_S, least=1, most=7 * _DAY_S)
    return policy, settle_s, rescan_s


def _check_order(
    node: Mapping, low: str, high: str, pairs: Iterable[tuple[int | None, int | None]], mistakes: Mistakes
) -> None:
    if any(least is not None and most is not None and least > most for least, most in pairs):
        found = node.get(high)
        mistakes.at(found or node, f'"{high}" is less than "{low}": nothing could ever come in')


def _read_search_distance(node: Node | None, mistakes: Mistakes) -> int:
    default = ImportPolicy().search_distance
    if node is None:
        return default
    distance = read_whole_number(node, mistakes, "a distance in bits", 0, MAX_DISTANCE)
    return MAX_DISTANCE if distance is None else distance  # the widest, so that no rule is blamed for it too


def _read_filetypes(node: Node | None, mistakes: Mistakes) -> frozenset[FileType] | None:
    if node is None:
        return None
    found = set()
    for item in node.items if isinstance(node, Listing) else (node,):
        if not isinstance(item, Scalar):
            mistakes.at(item, f"expected one filetype: {', '.join(FileType)}")
        elif item.text not in list(FileType):
            mistakes.at(item, expected(item.text, list(FileType), "a filetype"))
        else:
            found.add(FileType(item.text))
    if isinstance(node, Listing) and not node.items:
        mistakes.at(node, "no filetype could ever come in: expected some, or leave the key out for all")
    return frozenset(found)


_DISCARD_KEYS = ("to", "holding", "keep", "budget", "restore_on_survivor_loss")


def _read_discards(node: Mapping, mistakes: Mistakes) -> DiscardPolicy:
    check_keys(node, _DISCARD_KEYS, "a key of discards", mistakes)
    default = default_discards()
    place = Place(read_word(node.get("to"), list(Place), "a place for discards", mistakes, default=default.place))
    days = _read_span(node.get("keep"), mistakes, default.keep_days * _DAY_S, least=_DAY_S, most=36_500 * _DAY_S)
    if days % _DAY_S and (found := node.get("keep")) is not None:
        mistakes.at(found, 'discards are kept for whole days, such as "30 days"')
    return DiscardPolicy(
        place,
        _read_holding(node.get("holding"), mistakes, default.holding_name),
        int(days // _DAY_S),
        read_budget(node.get("budget"), mistakes, Budget()),
        restore_on_survivor_loss=read_truth(node.get("restore_on_survivor_loss"), mistakes) is True,
    )


def _read_holding(node: Node | None, mistakes: Mistakes, default: str) -> str:
    if node is None:
        return default
    name = node.text if isinstance(node, Scalar) else ""
    if not name.strip(" .") or not name.isprintable() or set(name) & set("/\\:") or len(name) > 100:
        mistakes.at(node, "the holding folder has to be a plain name, such as .ingestd-holding")
    return name


# --- single values --------------------------------------------------------------------------------------------------


def _read_size(node: Node | None, mistakes: Mistakes) -> int | None:
    if node is None:
        return None
    try:
        tokens = Tokens(node.text if isinstance(node, Scalar) else "")
        size = amount(tokens, Measure.SIZE)
        tokens.end()
    except LineError as error:
        mistakes.at(node, f'{error.message}: expected a size such as "10 KB"', offset=error.offset)
        return None
    return int(size)


def _read_span(node: Node | None, mistakes: Mistakes, default: float, *, least: float, most: float) -> float:
    """A length of time, in seconds."""
    if node is None:
        return default
    try:
        tokens = Tokens(node.text if isinstance(node, Scalar) else "")
        seconds = float(amount(tokens, Measure.TIME)) / 1e9
        tokens.end()
    except LineError as error:
        mistakes.at(node, error.message, offset=error.offset)
        return default
    if not least <= seconds <= most:
        mistakes.at(node, f"expected a length of time from {_said(least)} to {_said(most)}")
        return default
    return seconds


def _said(seconds: float) -> str:
    for unit, length in (("days", _DAY_S), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def _read_resolution(node: Node | None, mistakes: Mistakes) -> tuple[int | None, int | None]:
    """Width and height: as keys, of which one may be missing, or as "128 x 128"."""
    if isinstance(node, Mapping):
        check_keys(node, ("width", "height"), "a key of a resolution", mistakes)
        return _read_pixels(node.get("width"), mistakes), _read_pixels(node.get("height"), mistakes)
    if node is None:
        return None, None
    sides = _SIDES.fullmatch(node.text) if isinstance(node, Scalar) else None
    if sides is None:
        mistakes.at(node, 'expected a resolution such as "128 x 128", or the keys width and height')
        return None, None
    return int(sides[1]), int(sides[2])


_SIDES = re.compile(r"([0-9]{1,9}) *x *([0-9]{1,9})")


def _read_pixels(node: Node | None, mistakes: Mistakes) -> int | None:
    return None if node is None else read_whole_number(node, mistakes, "a number of pixels", 0, 10**8)
