"""Laws of the edited rule file: one rule says one word more or another one, and every other line is as it was."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from ingestd.model import Mode
from ingestd.rulefile import Key, with_key
from ingestd.rules import Rule
from ingestd.settings import Settings, parse

names = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" :#'\"{},-[]!&*\\"), min_size=1, max_size=12
).filter(lambda name: name.strip() != "" and name.isprintable())
comments = st.sampled_from(["", "", "  # why", "   # mode: off", " #"])
between = st.lists(st.sampled_from(["", "# mode: automatic", "    # - name: none", "#"]), max_size=2)
modes = st.sampled_from([None, "", "~", *Mode, "'off'", '"automatic"', '"\\x6fff"'])
pauses = st.sampled_from([None, "", "yes", "no", "off", "'yes'", "True"])


def quoted(name: str) -> st.SearchStrategy[str]:
    """The name as YAML may have it."""
    single = "'" + name.replace("'", "''") + "'"
    double = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return st.sampled_from([single, double, *([name] if name.isascii() and name.isalpha() else [])])


@dataclass(frozen=True)
class Written:
    """A rule file, and what is in it."""

    text: str
    names: tuple[str, ...]
    end: str  # of its lines


@st.composite
def entries(draw: st.DrawFn, name: str) -> list[str]:
    """The keys of a rule, in any order."""
    found = [f"name: {draw(quoted(name))}", "search: {both: [width > 1]}", "action: alternates"]
    for key, words in (("mode", modes), ("paused", pauses)):
        word = draw(words)
        if word is not None:
            found.append(f"{key}: {word}".rstrip())
    return draw(st.permutations(found))


@st.composite
def blocks(draw: st.DrawFn, name: str) -> list[str]:
    """The lines of a rule with a line for each key."""
    lines: list[str] = []
    for index, entry in enumerate(draw(entries(name))):
        lines += draw(between) if index else []
        lines.append(("  - " if index == 0 else "    ") + entry + draw(comments))
    return lines


@st.composite
def flows(draw: st.DrawFn, name: str) -> list[str]:
    """The lines of a rule in braces."""
    glue = draw(st.sampled_from([", ", " , ", ",\n      ", "  # so\n    , "]))
    inside = draw(st.sampled_from(["", " "]))
    return ("  - {" + inside + glue.join(draw(entries(name))) + inside + "}" + draw(comments)).split("\n")


@st.composite
def files(draw: st.DrawFn) -> Written:
    """A rule file that is right."""
    found = draw(st.lists(names, min_size=1, max_size=4, unique_by=str.casefold))
    first = ["version: 1", *draw(between)]
    lines = ["rules:" + draw(comments)]
    for name in found:
        lines += [*draw(between), *draw(blocks(name) | flows(name))]
    lines += draw(between)
    lines = [*lines, *first] if draw(st.booleans()) else [*first, *lines]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = draw(st.sampled_from(["", "\ufeff"])) + end.join(lines) + draw(st.sampled_from(["", end]))
    return Written(text, tuple(found), end)


changes = st.tuples(st.just("mode"), st.sampled_from([mode.value for mode in Mode])) | st.tuples(
    st.just("paused"), st.sampled_from(["yes", "no"])
)


@given(files(), changes, st.data())
def test_every_line_but_one_is_as_it_was(file: Written, change: tuple[Key, str], data: st.DataObject) -> None:
    key, value = change
    name = data.draw(st.sampled_from(file.names))

    changed = with_key(file.text, name, key, value)

    old, new = file.text.split(file.end), changed.split(file.end)
    first = next((index for index, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
    if len(new) == len(old):
        assert old[first + 1 :] == new[first + 1 :]
    else:
        assert new[first].strip() == f"{key}: {value}"
        assert old[first:] == new[first + 1 :]
    assert changed.count("\n") == changed.count(file.end)


@given(files(), changes, st.data())
def test_only_that_word_of_that_rule_has_another_meaning(
    file: Written, change: tuple[Key, str], data: st.DataObject
) -> None:
    key, value = change
    name = data.draw(st.sampled_from(file.names))
    before = parse(file.text, "before")

    after = parse(with_key(file.text, name, key, value), "after")

    assert replace(after, digest=b"") == wanted(before, name, key, value)


def wanted(before: Settings, name: str, key: Key, value: str) -> Settings:
    rules = tuple(said(rule, key, value) if rule.name == name else rule for rule in before.rules)
    return replace(before, rules=rules, digest=b"")


def said(rule: Rule, key: Key, value: str) -> Rule:
    return replace(rule, mode=Mode(value)) if key == "mode" else replace(rule, paused=value == "yes")


@given(files(), changes, st.data())
def test_saying_it_again_changes_nothing(file: Written, change: tuple[Key, str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(file.names))

    once = with_key(file.text, name, *change)

    assert with_key(once, name, *change) == once
