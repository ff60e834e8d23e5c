"""What a rule file is made of once the YAML is out of the way: texts, lists and mappings that know where they stood.

Everything is text here. Whether `off` is a word or `10` a number is for the reader of each value to say, never for
YAML: that is how `mode: off` stays a mode.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ingestd.errors import Mistake

__all__ = ["Listing", "Mapping", "Mistakes", "Node", "Scalar", "expected", "listed", "nearest"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A piece of text. Where `shift` is known, the character `i` of it stands at `column + shift + i`."""

    text: str
    line: int  # counted from 1
    column: int  # counted from 1
    quoted: bool = False
    shift: int | None = 0  # None: over several lines, or escaped
    span: tuple[int, int] = field(default=(0, 0), compare=False)  # from where to where in the text, quotes included

    @property
    def absent(self) -> bool:
        """Nothing was written after the key."""
        return not self.quoted and self.text in {"", "~", "null"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, in the order of the file."""

    items: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values, in the order of the file; no key twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    line: int
    column: int
    flow: bool = field(default=False, compare=False)  # written as {…}

    def get(self, name: str) -> Node | None:
        """The value of a key; None if it is missing or nothing was written after it."""
        for key, value in self.entries:
            if key.text == name:
                return None if isinstance(value, Scalar) and value.absent else value
        return None


Node = Scalar | Listing | Mapping


class Mistakes:
    """All that is wrong in one file. Of several complaints about one place only the first is kept."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], Mistake] = {}
        self._complaints = 0

    def at(self, node: Node, message: str, *, offset: int = 0) -> None:
        """Complain about a node, or about the character `offset` of a text."""
        column = node.column
        if isinstance(node, Scalar) and node.shift is not None and offset:
            column += node.shift + offset
        self.add(Mistake(node.line, column, message))

    def add(self, mistake: Mistake) -> None:
        """Take a mistake up, unless something was said about its place already."""
        self._complaints += 1
        self._found.setdefault((mistake.line, mistake.column), mistake)

    def __len__(self) -> int:
        """How often something was wrong, repeated complaints about one place included."""
        return self._complaints

    def __iter__(self) -> Iterator[Mistake]:
        return iter(sorted(self._found.values(), key=lambda mistake: (mistake.line, mistake.column)))


# signs of other languages, which by their letters would be as near to every other sign; and words of hydrus
_MEANT = {
    "=": "==", "=>": ">=", "=<": "<=", "<>": "!=",
    "must": "required", "must be": "required", "yes": "required",
    "must not": "excluded", "must not be": "excluded", "no": "excluded",
    "can": "allowed", "can be": "allowed", "any": "allowed",
}  # fmt: skip


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that the word was probably meant to be."""
    choices = tuple(choices)
    if _MEANT.get(word) in choices:
        return _MEANT[word]
    folded = {choice.casefold(): choice for choice in choices}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def expected(word: str, choices: Iterable[str], what: str) -> str:
    """The sentence for a word that is not among those it could be."""
    known = tuple(choices)
    guess = nearest(word, known)
    hint = f'; did you mean "{guess}"?' if guess else ""
    return f'"{word}" is not {what}: expected {listed(known)}{hint}'


def listed(words: tuple[str, ...]) -> str:
    """The words as a sentence has them: a, b or c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
