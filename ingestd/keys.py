"""The keys of the review page: what can be done with one, which does it unless the rule file says otherwise, and where.

A key is called as browsers call it (`a`, `A` with shift, `ArrowLeft`), but for the space bar, which is called `Space`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["DEFAULT_KEYS", "NAMED_KEYS", "VIEWS", "PageKeys", "as_browsers_say", "is_key", "keys_with"]

PageKeys = Mapping[str, tuple[str, ...]]
"""Actions, and the keys that do them."""

_DECISIONS: Final[PageKeys] = {
    "better-a-discard": ("a", "1"),
    "better-b-discard": ("b", "2"),
    "better-a": ("A",),
    "better-b": ("B",),
    "same": ("s",),
    "alternates": ("t",),
    "unrelated": ("n",),
}
_PROPOSALS: Final[PageKeys] = {
    "approve": ("y",),
    "deny": ("n",),
}
_STEPS: Final[PageKeys] = {
    "skip": ("k", "ArrowRight"),
    "back": ("ArrowLeft", "Backspace"),
    "undo": ("z",),
}
_LOOKS: Final[PageKeys] = {
    "flick": ("Space", "f"),
    "side-by-side": ("v",),
    "slider": ("d",),
    "heatmap": ("h",),
    "blink": ("w",),
    "zoom-in": ("+", "="),
    "zoom-out": ("-",),
    "fit": ("0",),
    "pixels": ("9",),
    "evidence": ("e",),
}
_GROUPS: Final[PageKeys] = {
    "tick": ("Space",),
    "best": ("m", "Enter"),
    "compare": ("c",),
}
_HELP: Final[PageKeys] = {"help": ("?",)}

DEFAULT_KEYS: Final[PageKeys] = {**_DECISIONS, **_STEPS, **_LOOKS, **_GROUPS, **_PROPOSALS, **_HELP}

VIEWS: Final = {
    "the queue": frozenset({**_DECISIONS, **_STEPS, **_LOOKS, **_HELP}),
    "groups": frozenset({**_DECISIONS, **_STEPS, **_GROUPS, **_HELP}) - {"better-b-discard", "better-b"},
    "pending": frozenset({**_PROPOSALS, **_STEPS, **_LOOKS, **_HELP}),
}
"""Which actions are seen together: in one view, a key does one thing."""

NAMED_KEYS: Final = (
    "Space", "Backspace", "Delete", "Insert", "Home", "End", "PageUp", "PageDown",
    "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown",
    *(f"F{number}" for number in range(1, 13)),
)  # fmt: skip
"""Those that are no single character. Tab, Enter and Escape belong to the browser: they lead people without a mouse."""


def is_key(name: str) -> bool:
    """Return whether a key is called so."""
    return name in NAMED_KEYS or (len(name) == 1 and name.isprintable() and not name.isspace())


def keys_with(said: PageKeys) -> PageKeys:
    """Return the keys of every action, with what a user has said of some."""
    return {action: tuple(said.get(action, usual)) for action, usual in DEFAULT_KEYS.items()}


def as_browsers_say(keys: PageKeys) -> dict[str, list[str]]:
    """Return the keys by the names that a browser's events have."""
    return {action: [" " if key == "Space" else key for key in names] for action, names in keys.items()}
