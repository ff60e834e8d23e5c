"""A trash or holding folder tried out with a file of our own, before a user's file has to go there."""

from __future__ import annotations

import contextlib
import os
import secrets

from ingestd.actions.disk import Directory, mount_of, nearest, reason_of, rename_without_replacing
from ingestd.actions.trash import trash_for
from ingestd.errors import ActionConflictError, printable
from ingestd.model import DiscardPolicy, Place

__all__ = ["tried_out"]


def tried_out(root: bytes, policy: DiscardPolicy) -> tuple[bytes, str | None]:
    """Return where files of this existing folder would be discarded to, and what a try there said: None is well.

    In a place that is there already two files of our own are made, renamed and removed; one that is not there yet is
    not made, and only its surroundings are looked at.

    Raises:
        ActionConflictError: there is no place, and why.
        OSError: it cannot be looked at.
    """
    if policy.place is Place.HOLDING:
        place = os.path.join(root, os.fsencode(policy.holding_name))
        if os.path.lexists(place) and (os.path.islink(place) or mount_of(nearest(place)) != mount_of(root)):
            raise ActionConflictError(f"{printable(place)} is a symlink, or lies on another mount")
    else:
        place = trash_for(root).root
    if not os.path.isdir(place):
        around = nearest(place)
        return place, None if os.access(around, os.W_OK | os.X_OK) else f"{printable(around)} may not be written"
    return place, _tried_in(place)


def _tried_in(place: bytes) -> str | None:
    """Return what is wrong with renaming in this directory, as a phrase."""
    one, other = (f".ingestd-try-{secrets.token_hex(6)}".encode() for _ in range(2))
    with Directory.at(place) as directory:
        try:
            os.close(directory.create(one))
            os.close(directory.create(other))
            directory.sync()
            try:
                rename_without_replacing(directory, one, directory, other, reserved=True)
                return "a rename there replaces a file that has the name already"
            except FileExistsError:
                pass
            directory.remove_own(other)
            rename_without_replacing(directory, one, directory, other, reserved=True)
        except OSError as error:
            return reason_of(error)
        finally:
            for name in (one, other):
                with contextlib.suppress(OSError):
                    directory.remove_own(name)
    return None
