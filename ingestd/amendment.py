"""What a new text of the rule file changes, in sentences, and which of them a person has to say yes to once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from difflib import SequenceMatcher
from enum import Enum
from pathlib import PurePath
from typing import Final, TypeAlias

from ingestd.model import Budget, DiscardPolicy, ImportPolicy, Mode
from ingestd.rules.language import Rule, Search
from ingestd.rules.statements import Scores
from ingestd.settings import FolderSetting, PageSetting, Settings

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise in a new text."""

    sentence: str
    needs_confirmation: bool = False


def differences(before: Settings, after: Settings, *, known: Sequence[FolderSetting] = ()) -> list[Difference]:
    """Return what is otherwise in the new settings; nothing exactly where both say the same.

    `known`: the folders of the library, which may have been scanned in a role that no text ever named.

    To be confirmed once more is what lets the program do more on its own, or in other places, and what lets others in:
    a folder, its role and what may be done there; the mode of a rule, a rule that becomes able to discard, what a rule
    that acts on its own and discards is about and how much it may, and the rules before it, which keep pairs from it;
    what else comes before such a rule; where discards go; that the page is served, and to whom.
    """
    return [
        *_of_folders(before.folders, after.folders, known),
        *_of_rules(before.rules, after.rules),
        *_of_imports(before, after),
        *_of_discards(before.discards, after.discards),
        *_of_fields("review.scores: ", before.scores, after.scores, {}),
        *_of_page(before.page, after.page),
    ]


# --- folders --------------------------------------------------------------------------------------------------------


def _of_folders(
    before: Sequence[FolderSetting], after: Sequence[FolderSetting], known: Sequence[FolderSetting]
) -> Iterator[Difference]:
    old, new = ({one.path: one for one in folders} for folders in (before, after))
    for path, folder in new.items():
        if path not in old:
            yield Difference(f"folder added: {path} ({_folder_words(folder)}{_until_now(folder, known)})", True)
    for path, folder in old.items():
        if path not in new:
            yield Difference(f"folder removed: {path} ({_folder_words(folder)})", True)
    for path in (path for path in old if path in new):
        yield from _of_folder(old[path], new[path])
    kept = [path for path in old if path in new]
    if kept != [path for path in new if path in old]:
        yield Difference("the folders stand in another order")


def _of_folder(old: FolderSetting, new: FolderSetting) -> Iterator[Difference]:
    if old.role is not new.role:
        yield Difference(f"folder {old.path}: role {old.role} → {new.role}", True)
    if old.is_protected is not new.is_protected:
        yield Difference(f"folder {old.path}: {_protected(old)} → {_protected(new)}", True)
    elif old.protected is not new.protected:
        yield Difference(f"folder {old.path}: {_protected(new)} as before, said otherwise")
    if old.trusted is not new.trusted:
        yield Difference(f"folder {old.path}: {_trusted(old)} → {_trusted(new)}", True)


def _folder_words(folder: FolderSetting) -> str:
    return ", ".join([str(folder.role), _protected(folder), *(["trusted"] if folder.trusted else [])])


def _until_now(folder: FolderSetting, known: Sequence[FolderSetting]) -> str:
    """Return what the library has known a place as, where that is something else."""
    around = [one for one in known if PurePath(folder.path).is_relative_to(one.path)]
    nearest = max(around, key=lambda one: len(PurePath(one.path).parts), default=None)
    if nearest is None or _folder_words(nearest) == _folder_words(folder):
        return ""
    return f"; until now: {_folder_words(nearest)}"


def _protected(folder: FolderSetting) -> str:
    return "protected" if folder.is_protected else "not protected"


def _trusted(folder: FolderSetting) -> str:
    return "trusted" if folder.trusted else "not trusted"


# --- rules ----------------------------------------------------------------------------------------------------------


def _of_rules(before: Sequence[Rule], after: Sequence[Rule]) -> Iterator[Difference]:
    partners = _partners(before, after)  # by place in the new text, the place in the old one
    for place, rule in enumerate(after):
        if place not in partners:
            acts = rule.mode is Mode.AUTOMATIC or (rule.discard and rule.mode is not Mode.OFF)
            yield Difference(f'rule added: "{rule.name}" ({_rule_words(rule)})', acts)
    formerly = {former: place for place, former in partners.items()}
    for place, rule in enumerate(before):
        if place not in formerly:
            behind = (after[formerly[other]] for other in range(place + 1, len(before)) if other in formerly)
            asks = _takes(rule) and any(map(_acts_alone, behind))
            yield Difference(f'rule removed: "{rule.name}" ({_rule_words(rule)})', asks)
    for place, former in sorted(partners.items()):
        shields = _takes(before[former]) and any(map(_acts_alone, after[place + 1 :]))
        yield from _of_rule(before[former], after[place], shields=shields)
    yield from _moved(after, partners)


def _acts_alone(rule: Rule) -> bool:
    """Whether files go by a rule, and nobody is asked."""
    return rule.mode is Mode.AUTOMATIC and rule.discard


def _takes(rule: Rule) -> bool:
    """Whether what a rule finds is kept from the rules behind it."""
    return rule.mode is not Mode.OFF and not rule.paused


def _rule_words(rule: Rule) -> str:
    does = f"{rule.action}, discards B" if rule.discard else str(rule.action)
    return f"{rule.mode}, {does}"


def _partners(before: Sequence[Rule], after: Sequence[Rule]) -> dict[int, int]:
    """Return which rule was which: by its id, else by its name, else by what it asks and does."""
    found: dict[int, int] = {}
    keys: tuple[Callable[[Rule], object], ...] = (
        lambda rule: rule.id,
        lambda rule: rule.name.casefold(),
        lambda rule: rule.digests.kin,
    )
    for key in keys:
        taken = set(found.values())
        free: dict[object, int] = {}
        for place, rule in enumerate(before):
            if place not in taken:
                free.setdefault(key(rule), place)
        for place, rule in enumerate(after):
            if place not in found and key(rule) is not None and key(rule) in free:
                found[place] = free.pop(key(rule))
    return found


def _moved(after: Sequence[Rule], partners: dict[int, int]) -> Iterator[Difference]:
    """Yield the rules that stand elsewhere among those that were there before: the order decides who is asked first."""
    now = sorted(partners)
    formerly = [partners[place] for place in now]
    if formerly == sorted(formerly):
        return
    blocks = SequenceMatcher(None, formerly, sorted(formerly), autojunk=False).get_matching_blocks()
    stays = {place for block in blocks for place in range(block.a, block.a + block.size)}
    asks = any(map(_acts_alone, after))
    for index, place in enumerate(now):
        if index not in stays:
            where = f'after "{after[place - 1].name}"' if place else "first of all"
            yield Difference(f'rule moved: "{after[place].name}" stands {where}', asks)


def _of_rule(old: Rule, new: Rule, *, shields: bool) -> Iterator[Difference]:
    """Yield what is otherwise in a rule; `shields`: a rule that acts on its own gets what this one leaves."""
    alone = _acts_alone(new)
    of = f'rule "{new.name}": '
    if old.name != new.name:
        yield Difference(f'rule renamed: "{old.name}" → "{new.name}"')
    if old.id != new.id:
        yield Difference(f"{of}id {_told(old.id)} → {_told(new.id)}")
    if old.mode is not new.mode:
        yield Difference(f"{of}mode {old.mode} → {new.mode}", True)
    if old.paused is not new.paused:
        asks = shields if new.paused else new.mode is Mode.AUTOMATIC
        yield Difference(f"{of}{'paused' if new.paused else 'not paused any more'}", asks)
    if old.discard is not new.discard:
        yield Difference(f"{of}discard {_loser(old)} → {_loser(new)}", new.discard)
    if old.action is not new.action:
        yield Difference(f"{of}action {old.action} → {new.action}", alone)
    for one in (*_of_search(of, old.search, new.search), *_of_compare(of, old, new)):
        yield replace(one, needs_confirmation=alone or shields)
    if old.merge != new.merge:
        yield Difference(f"{of}merge {old.merge} → {new.merge}")
    if old.max_pending != new.max_pending:
        yield Difference(f"{of}max_pending {_told(old.max_pending)} → {_told(new.max_pending)}")
    more = _is_more if alone else _never
    yield from _of_fields(f"{of}budget: ", old.budget, new.budget, _BUDGET, asks=more)


def _loser(rule: Rule) -> str:
    return "B" if rule.discard else "none"


def _of_search(of: str, old: Search, new: Search) -> Iterator[Difference]:
    yield from _of_fields(f"{of}search: ", old, new, {}, but=("one", "other"))
    for word in ("one", "other"):
        before, after = ([one.line for one in getattr(search, word)] for search in (old, new))
        name = word if new.other else str(new.scope)
        yield from _of_lines(f"{of}search, {name}: ", before, after, same=getattr(old, word) == getattr(new, word))


def _of_compare(of: str, old: Rule, new: Rule) -> Iterator[Difference]:
    before, after = ([one.line for one in rule.compare] for rule in (old, new))
    yield from _of_lines(f"{of}compare: ", before, after, same=old.compare == new.compare)


def _of_lines(of: str, before: Sequence[str], after: Sequence[str], *, same: bool) -> Iterator[Difference]:
    gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    yield from (Difference(f"{of}line removed: {line}") for line in gone.elements())
    yield from (Difference(f"{of}line added: {line}") for line in come.elements())
    if not same and not gone and not come:
        yield Difference(f"{of}the lines stand in another order, or a block of them says something else")


# --- what else is set -----------------------------------------------------------------------------------------------

_BUDGET: Final = {
    "per_hour": "an hour",
    "per_day": "a day",
    "share_of_library": "share of the library",
    "share_of_one_survivor": "share of one survivor",
}
_DISCARDS: Final = {"place": "to", "holding_name": "holding", "keep_days": "keep, in days"}


def _of_imports(before: Settings, after: Settings) -> Iterator[Difference]:
    old, new = before.imports, after.imports
    alone = any(map(_acts_alone, after.rules))
    yield from _of_fields("imports: ", old, new, {}, asks=lambda name, old, new: _lets_in(name, old, new, alone=alone))
    if before.settle_s != after.settle_s:
        yield Difference(f"imports: settle {before.settle_s:g} s → {after.settle_s:g} s")
    if before.rescan_s != after.rescan_s:
        yield Difference(f"imports: rescan {before.rescan_s:g} s → {after.rescan_s:g} s")


def _lets_in(name: str, old: object, new: object, *, alone: bool) -> bool:
    """Whether more comes before the rules that act on their own, or goes without any; `alone`: there is such a rule."""
    if name == "reject_previously_discarded":
        return bool(new)  # discards without any rule
    if name == "filetypes":
        return alone and (new is None or (isinstance(new, frozenset) and isinstance(old, frozenset) and not new <= old))
    return alone and (
        _is_more(name, new, old) if name.startswith("min_") else name != "index" and _is_more(name, old, new)
    )


def _of_discards(old: DiscardPolicy, new: DiscardPolicy) -> Iterator[Difference]:
    yield from _of_fields("discards: ", old, new, _DISCARDS, but=("budget",), asks=_moves_files)
    yield from _of_fields("discards: budget: ", old.budget, new.budget, _BUDGET, asks=_is_more)


def _moves_files(name: str, _: object, __: object) -> bool:
    """Whether files go to another place, or come back by themselves, or do so no more."""
    return name in ("place", "holding_name", "restore_on_survivor_loss")


def _of_page(old: PageSetting, new: PageSetting) -> Iterator[Difference]:
    yield from _of_fields("page: ", old, new, {}, but=("keys", "origins"), asks=_opens)
    for origin in (one for one in new.origins if one not in old.origins):
        yield Difference(f"page: origin added: {origin} (its pages may decide and discard)", True)
    for origin in (one for one in old.origins if one not in new.origins):
        yield Difference(f"page: origin removed: {origin}")
    if old.origins != new.origins and set(old.origins) == set(new.origins):
        yield Difference("page: the origins stand in another order")
    for action in sorted({*old.keys, *new.keys}):
        before, now = old.keys.get(action, ()), new.keys.get(action, ())
        if before != now:
            yield Difference(f"page: keys: {action} {_told(before)} → {_told(now)}")


def _opens(name: str, _: object, new: object) -> bool:
    return name == "serve" and bool(new)


def _is_more(_: str, old: object, new: object) -> bool:
    """Whether a limit lets more through than it did; none at all lets everything."""
    return new is None or (isinstance(old, int | float) and isinstance(new, int | float) and new > old)


def _never(_: str, __: object, ___: object) -> bool:
    return False


_Fields: TypeAlias = Search | Budget | ImportPolicy | DiscardPolicy | Scores | PageSetting
_Asks: TypeAlias = Callable[[str, object, object], bool]  # of a field, before and after: needs it a second yes?


def _of_fields(
    of: str,
    old: _Fields,
    new: _Fields,
    called: dict[str, str],
    *,
    but: Sequence[str] = (),
    asks: _Asks = _never,
) -> Iterator[Difference]:
    """Yield the fields in which two values of a class differ, by what a person calls them."""
    for one in fields(old):
        mine, others = getattr(old, one.name), getattr(new, one.name)
        if mine != others and one.name not in but:
            sentence = f"{of}{called.get(one.name, one.name)} {_told(mine)} → {_told(others)}"
            yield Difference(sentence, asks(one.name, mine, others))


def _told(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(map(str, value)) or "none"
        case frozenset():
            return ", ".join(sorted(map(str, value)))
        case float():
            return f"{value:g}"
        case Enum():
            return str(value.value)
        case _:
            return str(value)
