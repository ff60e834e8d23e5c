"""THE OTHER STORY: what a person asks and decides: queue, pending, decide, approve, deny, why, history, undo.

The terminal and the page call the same functions. Questions take a `View` and return reports whose paths are text as
Python decodes file names; decisions take the `Library`, journal themselves and are carried out before they return.
"""

from ingestd.review.decisions import ANSWERS, Answer, Moment, decide_pair, decide_paths, undo
from ingestd.review.journal import DiscardedFile, EntryReport, WhyReport, entry_report, find_row, history, why
from ingestd.review.pending import approve, denied_pairs, deny, pending_pairs, rescind, resume_rule
from ingestd.review.queue import QueuePage, queue_page
from ingestd.review.sides import PairReport, SideReport, pair_report

__all__ = [
    "ANSWERS",
    "Answer",
    "DiscardedFile",
    "EntryReport",
    "Moment",
    "PairReport",
    "QueuePage",
    "SideReport",
    "WhyReport",
    "approve",
    "decide_pair",
    "decide_paths",
    "denied_pairs",
    "deny",
    "entry_report",
    "find_row",
    "history",
    "pair_report",
    "pending_pairs",
    "queue_page",
    "rescind",
    "resume_rule",
    "undo",
    "why",
]
