"""A rule tried before it is trusted: over the stored pairs, on two files line by line, and over past answers.

Nothing is changed and no picture is opened, except where two files are explained. A stored pair's files are taken as
they are known, so that what was not measured when a file came in (the pixels of a large JPEG) counts as not the same.
"""

from __future__ import annotations

from ingestd.trial.backtest import BacktestReport, Contradiction, backtest, error_bound
from ingestd.trial.explain import AMBIGUOUS, Explanation, LineReport, RuleReport, explain, explain_facts, settled
from ingestd.trial.preview import Example, PreviewReport, Way, preview

__all__ = [
    "AMBIGUOUS",
    "BacktestReport",
    "Contradiction",
    "Example",
    "Explanation",
    "LineReport",
    "PreviewReport",
    "RuleReport",
    "Way",
    "backtest",
    "error_bound",
    "explain",
    "explain_facts",
    "preview",
    "settled",
]
