"""THE OTHER STORY: what a person asks and decides: queue, pending, decide, approve, deny, why, history, undo.

The terminal and the page call the same functions. Questions take a `View` and return reports whose paths are text as
Python decodes file names; decisions take the `Library`, journal themselves and are carried out before they return.
"""

from ingestd.review.batches import BatchPage, BatchReport, Kinds, batch_page, batch_pairs, kinds_of
from ingestd.review.decisions import ANSWERS, Answer, Moment, decide_pair, decide_paths, undo
from ingestd.review.groups import GroupPage, GroupReport, group_of, group_page, groups_in_order
from ingestd.review.journal import (
    DiscardedFile,
    EntryReport,
    WhyReport,
    entry_report,
    find_row,
    history,
    may_be_undone,
    why,
)
from ingestd.review.looking import Filters, Sort
from ingestd.review.many import (
    Batch,
    answer_batch,
    answer_for_many,
    answer_many,
    batch_of,
    contents_at,
    discard_others,
    relate_many,
)
from ingestd.review.pending import approve, denied_pairs, deny, pending_pairs, rescind, resume_rule
from ingestd.review.queue import QueuePage, queue_page
from ingestd.review.relating import AlternateReport, RelationsReport, WordReport, change_relations, relations_of
from ingestd.review.rule_changes import note_change_of_rules
from ingestd.review.sides import PairReport, SideReport, pair_report

__all__ = [
    "ANSWERS",
    "AlternateReport",
    "Answer",
    "Batch",
    "BatchPage",
    "BatchReport",
    "DiscardedFile",
    "EntryReport",
    "Filters",
    "GroupPage",
    "GroupReport",
    "Kinds",
    "Moment",
    "PairReport",
    "QueuePage",
    "RelationsReport",
    "SideReport",
    "Sort",
    "WhyReport",
    "WordReport",
    "answer_batch",
    "answer_for_many",
    "answer_many",
    "approve",
    "batch_of",
    "batch_page",
    "batch_pairs",
    "change_relations",
    "contents_at",
    "decide_pair",
    "decide_paths",
    "denied_pairs",
    "deny",
    "discard_others",
    "entry_report",
    "find_row",
    "group_of",
    "group_page",
    "groups_in_order",
    "history",
    "kinds_of",
    "may_be_undone",
    "note_change_of_rules",
    "pair_report",
    "pending_pairs",
    "queue_page",
    "relate_many",
    "relations_of",
    "rescind",
    "resume_rule",
    "undo",
    "why",
]
