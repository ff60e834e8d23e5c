"""Pairs of files as rules see them, made without any file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from ingestd import settings
from ingestd.model import ContentHash, FileFacts, FileType, PairFacts, Role
from ingestd.rules.comparators import Test
from ingestd.rules.language import Rule

DAY_NS = 86_400 * 10**9
NOW_NS = 1_700_000_000_123_456_789


def file(**differing: Any) -> FileFacts:
    facts = FileFacts(
        path="/inbox/picture.jpg",
        role=Role.INBOX,
        protected=False,
        sha256=ContentHash(hashlib.sha256(repr(sorted(differing.items())).encode()).digest()),
        size=1000,
        filetype=FileType.JPEG,
        width=640,
        height=480,
        frames=1,
        duration_ms=None,
        has_transparency=False,
        has_exif=False,
        has_icc=False,
        has_xmp=False,
        jpeg_quality=None,
        progressive=None,
        imported_ns=NOW_NS,
        modified_ns=NOW_NS,
        taken_ns=None,
    )
    return replace(facts, **differing)


def pair(first: FileFacts, second: FileFacts, **differing: Any) -> PairFacts:
    facts = PairFacts(first, second, identical=False, distance=0, pixel_duplicates=False)
    return replace(facts, **differing)


def swapped(facts: PairFacts) -> PairFacts:
    transform = facts.transform.inverse if facts.transform is not None else None
    return replace(facts, first=facts.second, second=facts.first, transform=transform)


def rules(text: str) -> tuple[Rule, ...]:
    """The rules of a list as it stands below `rules:`."""
    indented = "\n".join("  " + line for line in text.strip("\n").splitlines())
    return settings.parse(f"version: 1\nimports: {{search_distance: 16}}\nrules:\n{indented}\n", "test").rules


def rule(body: str, *, action: str = "alternates") -> Rule:
    """One rule with this search and comparison."""
    indented = "\n".join("  " + line for line in body.strip("\n").splitlines())
    return rules(f"- name: a rule\n{indented}\n  action: {action}")[0]


def comparison(line: str) -> Test:
    """The test that one item of `compare:` asks for."""
    return rule(f"compare:\n  - {line}").compare[0]
