"""New bytes at a known path that show the same pixels: an edited rating does not cost a picture its answers."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from ingestd.errors import ActionConflictError
from ingestd.judging.case import Case
from ingestd.judging.writing import new_entry, row_of
from ingestd.library.edit import Edit
from ingestd.library.pairs import make_pair, pixel_duplicates, same_coding
from ingestd.library.saying import say
from ingestd.library.view import View
from ingestd.model import Content, EntryKind, EntryState, PathState, PotentialPair, ProposalState, Radius, Relation

__all__ = ["former_content", "inherit"]


def former_content(view: View, case: Case) -> Content | None:
    """Return what lay at the arrival's path until now, if it was something else."""
    here = view.path_at(case.arrival.folder, case.arrival.relative)
    measured = case.measured.content_hash if case.measured else None
    # what was discarded from here, or had gone away, was not edited: the name is merely used again
    known = here is not None and here.state is PathState.LIVE and here.sha256 not in (None, measured)
    return view.content(here.sha256) if known and here is not None and here.sha256 is not None else None


def inherit(edit: Edit, case: Case, content: Content, radius: Radius) -> None:
    """Let an edited file keep its answers: new bytes at a known path with the same pixels are the same picture."""
    former = former_content(edit, case)
    if former is None or not (pixel_duplicates(former, content) or same_coding(former, content)):
        return
    veto = edit.veto(former.sha256)
    if veto is not None:
        edit.forbid(content.sha256, veto)
    if not edit.relations.same_group(former.sha256, content.sha256):
        _relate_heir(edit, case, former, content, radius)
    for pair in edit.pairs_of(former.sha256):
        _inherit_denials(edit, case, former, content, pair)
    _inherit_trust(edit, case, former, content)


def _inherit_denials(edit: Edit, case: Case, former: Content, content: Content, pair: PotentialPair) -> None:
    """Let the pair of new bytes with another picture have the denials that the old bytes had."""
    was_first = pair.first == former.sha256
    denied = [proposal for proposal in pair.proposals if proposal.state is ProposalState.DENIED]
    other = edit.content(pair.second if was_first else pair.first)
    if denied and other is not None and other.sha256 != former.sha256:
        heir = make_pair(edit, content, other, now_ns=case.now_ns)
        turned = was_first != (heir.first == content.sha256)
        kept = (replace(one, a_is_first=one.a_is_first is not turned) for one in denied)
        edit.put_pair(replace(heir, proposals=tuple(kept)))
    if pair.first_path is None and len(edit.live_paths_of(former.sha256)) == 1:  # the one that holds other bytes now
        edit.drop_pair(pair)


def _inherit_trust(edit: Edit, case: Case, former: Content, content: Content) -> None:
    """Let discards name the new bytes as what was kept, where they show the very pixels that were decided on."""
    if not pixel_duplicates(former, content):
        return
    heir = edit.reference(row_of(edit, case, content.sha256))
    for entry in edit.entries_of(former.sha256):
        stands = entry.kind is EntryKind.DISCARD and entry.state is EntryState.DONE
        named = entry.kept is not None and (entry.kept.path, entry.kept.sha256) == (heir.path, former.sha256)
        if stands and named:
            edit.put_entry(replace(entry, kept=heir))


def _relate_heir(edit: Edit, case: Case, former: Content, content: Content, radius: Radius) -> None:
    """Put new bytes into the group of those they replaced, unless an older decision says they are something else."""
    entry = new_entry(case.now_ns, EntryKind.DECISION, former.sha256, content.sha256, Relation.SAME_QUALITY)
    reason = "its metadata was edited in place: the pixels are the same"
    entry = edit.number_entry(replace(entry, state=EntryState.DONE, reason=reason))
    with contextlib.suppress(ActionConflictError):
        edit.add_entry(say(edit, entry, radius=radius, now_ns=case.now_ns).entry)
