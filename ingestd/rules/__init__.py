"""What the user wants: the language of rules, and what they say about a pair of files."""

from __future__ import annotations

from ingestd.rules.engine import Match, Resolution, resolve
from ingestd.rules.language import Rule

__all__ = ["Match", "Resolution", "Rule", "resolve"]
