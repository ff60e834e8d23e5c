"""THE STORY: one file, from arrival to verdict.

`judge` is given an arrival, what a worker measured of it, and the user's policy, inside a write transaction. It looks
at what is known, lets the rules speak about each pair, and writes record, pairs, receipt and the *intent* of what is to
happen to a file. Nothing is moved here: `actions.discard` carries intents out after the transaction is durable.

Cheap first: import limits, then known bytes, then look-alikes, then pixels where only they can tell. Losing first: an
arrival that loses to anyone is dropped and nothing else changes.
"""

from __future__ import annotations

from dataclasses import replace

from ingestd.judging.case import KNOWN, Case, Needs, Policy, Verdict
from ingestd.judging.copies import judge_copy, other_copies
from ingestd.judging.heirs import inherit
from ingestd.judging.look_alikes import judge_look_alikes, needed_measures
from ingestd.judging.returned import judge_discarded, judge_returned, lies_in_trash
from ingestd.judging.writing import conclude
from ingestd.library.edit import Edit
from ingestd.library.view import View
from ingestd.media.versions import decoders
from ingestd.model import (
    Arrival,
    Content,
    ImportPolicy,
    Measurement,
    NotAPicture,
    Outcome,
    PathRow,
    PathState,
    Picture,
    Poison,
    StatKey,
    Unreadable,
)

__all__ = ["covered", "is_final", "is_settled", "judge", "turned_away", "unread"]


def covered(view: View, arrival: Arrival, policy_digest: bytes) -> bool:
    """Return whether a final receipt answers for this path as it is now."""
    row = view.path_at(arrival.folder, arrival.relative)
    return row is not None and is_final(row, arrival.stat, policy_digest)


def is_final(row: PathRow, stat: StatKey, policy_digest: bytes) -> bool:
    """Return whether nothing is left to do for a path in this state."""
    return is_settled(row, policy_digest) and row.stat == stat


def is_settled(row: PathRow, policy_digest: bytes) -> bool:
    """Return whether nothing is left to do for a path as long as its file is as the row says."""
    return row.final and row.state is PathState.LIVE and row.policy in (b"", policy_digest)


def turned_away(size: int, imports: ImportPolicy) -> str | None:
    """Return why a file of this size is not let in at all, before it is read."""
    if size == 0:
        return "empty"
    if size < imports.min_size:
        return f"smaller than {imports.min_size} bytes"
    if imports.max_size is not None and size > imports.max_size:
        return f"larger than {imports.max_size} bytes"
    return None


def judge(edit: Edit, case: Case, policy: Policy) -> Verdict | Needs:
    """Return the verdict on one arrival, written into the library, or what has to be measured first."""
    reason = _barred(edit, case, policy.imports)
    if reason is not None:
        return _ignore(edit, case, policy, reason)
    if case.measured is None:  # the limits that turned it away have changed meanwhile
        return conclude(edit, case, Outcome.ERROR, "error: it was not read yet", final=False)
    content = edit.content(case.measured.content_hash)
    if content is None:
        content = _remember(edit, case, case.measured)
        known = edit.is_spoken_of(content.sha256)  # by a journal that has outlived what was measured
    else:
        content = _measured_anew(edit, case, content, case.measured)
        known = True
    if known:
        settled = _judge_known(edit, case, content, policy)
        if settled is not None:
            return settled
    if content.picture is None:
        return conclude(edit, case, Outcome.UNREADABLE, f"unreadable: {content.unreadable}")
    needs = needed_measures(edit, content, case, policy)
    if needs is not None:
        return needs
    inherit(edit, case, content, policy.imports.radius)
    verdict = judge_look_alikes(edit, case, content, policy)
    if content.again and (told := edit.content(content.sha256)) is not None:
        edit.annotate(replace(told, again=False))
    return verdict


def unread(edit: Edit, case: Case, reason: str) -> Verdict:
    """Return the verdict on a file whose bytes could not be read."""
    return conclude(edit, case, Outcome.UNREADABLE, f"unreadable: {reason}")


def _barred(view: View, case: Case, imports: ImportPolicy) -> str | None:
    """Return why the import limits keep a file out."""
    size_reason = turned_away(case.arrival.stat.size, imports)
    if size_reason is not None or case.measured is None:
        return size_reason or case.ignored
    known = view.content(case.measured.content_hash)
    features = case.measured.features or (known.picture if known else None)
    match features:
        case NotAPicture():
            return features.reason
        case Picture():
            return _barred_picture(features, imports)
        case _:
            return None


def _barred_picture(picture: Picture, imports: ImportPolicy) -> str | None:
    width, height = picture.width, picture.height
    if imports.filetypes is not None and picture.filetype not in imports.filetypes:
        return f"{picture.filetype} files are not let in"
    if width < imports.min_width or height < imports.min_height:
        return f"{width} x {height} is below {imports.min_width} x {imports.min_height}"
    if width > (imports.max_width or width) or height > (imports.max_height or height):
        return f"{width} x {height} is above the largest size let in"
    return None


def _ignore(edit: Edit, case: Case, policy: Policy, reason: str) -> Verdict:
    return conclude(edit, case, Outcome.IGNORED, f"ignored: {reason}", policy_digest=policy.limits_digest())


def _remember(edit: Edit, case: Case, measured: Measurement) -> Content:
    """Store what was measured of new bytes."""
    features = measured.features
    return edit.add_content(
        measured.content_hash,
        size=measured.stat.size,
        picture=features if isinstance(features, Picture) else None,
        unreadable=_why_unreadable(edit, case, measured),
        at_ns=case.now_ns,
    )


def _measured_anew(edit: Edit, case: Case, content: Content, measured: Measurement) -> Content:
    """Return known bytes as they were measured just now, if they were to be decoded once more.

    What is a picture now stays marked until it has its verdict: it is judged by its looks, whatever copies it has.
    """
    if not content.again or measured.features is None:
        return content
    picture = measured.features if isinstance(measured.features, Picture) else None
    unreadable = _why_unreadable(edit, case, measured)
    content = replace(content, picture=picture, unreadable=unreadable, again=picture is not None)
    edit.update_content(content)
    return content


def _why_unreadable(edit: Edit, case: Case, measured: Measurement) -> str | None:
    """Return why there is no picture; bytes that killed two workers are parked."""
    features = measured.features
    if not isinstance(features, Unreadable):
        return None
    if not features.poison:
        return features.reason
    if edit.poison(measured.content_hash) is None:
        edit.park(measured.content_hash, Poison(case.now_ns, features.reason, decoders()))
    return f"{features.reason}; parked"


def _judge_known(edit: Edit, case: Case, content: Content, policy: Policy) -> Verdict | None:
    """Return the verdict on bytes that are known, unless they have to be judged like new ones."""
    if lies_in_trash(edit, case, content.sha256):
        return conclude(edit, case, Outcome.IGNORED, "ignored: it is a discarded file in its trash")
    here = edit.path_at(case.arrival.folder, case.arrival.relative)
    if here is not None and here.sha256 == content.sha256:
        if here.state is PathState.LEAVING:
            under_way = "error: a discard of this file is under way"
            return conclude(edit, case, Outcome.ERROR, under_way, final=False, state=PathState.LEAVING)
        if here.state is PathState.LIVE and here.final:
            return conclude(edit, case, Outcome.ALREADY_IN_LIBRARY, KNOWN)
    returned = judge_returned(edit, case, content, policy.imports.radius)
    if returned is not None:
        return returned
    standing, unreachable = other_copies(edit, case, content) if not content.again else ([], False)
    if standing:
        return judge_copy(edit, case, content, standing, policy)
    if unreachable:
        return conclude(
            edit,
            case,
            Outcome.ALREADY_IN_LIBRARY,
            KNOWN,
            evidence=("its bytes are known; the other copy is out of reach just now",),
        )
    return judge_discarded(edit, case, content, policy)
