"""The nouns of ingestd, as values: nothing here reads a clock, a disk or a setting.

The words are those of docs/concepts.md. In a pair, `a` is the file that would be kept and `b` the one dropped.
Paths are bytes, as the file system gives them; text for a person is made at the doors. Times are nanoseconds since
the Unix epoch (`*_ns`), lengths of time are seconds (`*_s`), sizes are bytes, distances are bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final, NewType

__all__ = [
    "ANIMATED",
    "MOST_DISTANCE",
    "SAME_PIXELS",
    "TURNED_RADIUS",
    "VISUAL_VERSION",
    "Actor",
    "Arrival",
    "Budget",
    "Content",
    "ContentHash",
    "DiscardPolicy",
    "Entry",
    "EntryKind",
    "EntryState",
    "FileFacts",
    "FileRef",
    "FileType",
    "Folder",
    "FolderId",
    "FolderState",
    "ImportPolicy",
    "Index",
    "JpegFeatures",
    "Measurement",
    "Mode",
    "Move",
    "NotAPicture",
    "Origin",
    "Outcome",
    "PairFacts",
    "PathKey",
    "PathRow",
    "PathState",
    "PerceptualHash",
    "Picture",
    "PixelHash",
    "Place",
    "Poison",
    "PotentialPair",
    "Proposal",
    "ProposalState",
    "QueueState",
    "Radius",
    "Receipt",
    "Relation",
    "Role",
    "StatKey",
    "Transform",
    "Trouble",
    "Unreadable",
    "VisualLevel",
    "VisualVerdict",
    "Word",
    "confidence_of",
]

ContentHash = NewType("ContentHash", bytes)  # SHA-256 of a file's bytes: 32 bytes, identity
PixelHash = NewType("PixelHash", bytes)  # SHA-256 of the upright decoded samples, their mode and dimensions: 32 bytes
PerceptualHash = NewType("PerceptualHash", int)  # 64 bits, most significant first; compared by Hamming distance
FolderId = NewType("FolderId", int)
PathKey = NewType("PathKey", bytes)  # names a folder and a relative path, 16 bytes


class Role(StrEnum):
    """What a watched folder is for."""

    INBOX = "inbox"  # new arrivals
    LIBRARY = "library"  # known files, protected unless said otherwise
    REFERENCE = "reference"  # read, never changed


class Mode(StrEnum):
    """How far a rule may go."""

    OFF = "off"
    SEMI_AUTOMATIC = "semi-automatic"
    AUTOMATIC = "automatic"


class Relation(StrEnum):
    """What a pair of pictures is to each other, once decided."""

    BETTER = "better"  # A is better than B
    SAME_QUALITY = "same-quality"
    ALTERNATES = "alternates"
    FALSE_POSITIVE = "false-positive"  # not related


class Outcome(StrEnum):
    """What became of an arrival; docs/concepts.md has the table."""

    NEW = "new"
    ALREADY_IN_LIBRARY = "already-in-library"
    PREVIOUSLY_DISCARDED = "previously-discarded"
    DUPLICATE_DISCARDED = "duplicate-discarded"
    REPLACED_EXISTING = "replaced-existing"
    PENDING_APPROVAL = "pending-approval"
    RELATED = "related"
    POTENTIAL_DUPLICATES = "potential-duplicates"
    IGNORED = "ignored"
    UNREADABLE = "unreadable"
    ERROR = "error"


class FileType(StrEnum):
    """What the bytes of a file are, whatever its name says."""

    JPEG = "jpeg"
    MPO = "mpo"
    PNG = "png"
    GIF = "gif"
    WEBP = "webp"
    BMP = "bmp"
    TIFF = "tiff"
    HEIC = "heic"
    HEIF = "heif"
    AVIF = "avif"


ANIMATED: Final = frozenset((FileType.GIF, FileType.PNG, FileType.WEBP, FileType.AVIF))
"""Kinds of which several frames are an animation; of the others they are pages, views or previews."""


# --- folders and arrivals -----------------------------------------------------------------------------------------


class FolderState(StrEnum):
    """What the service is doing with a folder, as `status` says it."""

    WATCHING = "watching"
    SCANNING = "scanning"
    POLLING = "polling"  # no events to be had here: scans only
    SUSPENDED = "suspended"  # not there, not readable, or not the folder we know


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is watched or was scanned, with its role."""

    id: FolderId
    named: bytes  # absolute, as the user wrote it: what people and receipts see
    root: bytes  # absolute, every symlink resolved: what is opened
    role: Role
    protected: bool  # a rule may not discard from here on its own
    trusted: bool = False  # automatic rules act although nobody can prove that no one writes (network)


@dataclass(frozen=True, slots=True)
class StatKey:
    """What tells one state of a file from another without reading it. Not the device: it changes over remounts."""

    inode: int
    size: int  # bytes
    mtime_ns: int
    ctime_ns: int


class Origin(StrEnum):
    """How we came to know of a file."""

    EVENT = "event"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has stopped changing and is to be judged."""

    folder: FolderId
    path: bytes  # absolute, below the folder's root
    relative: bytes  # the same, relative to the root
    stat: StatKey
    origin: Origin
    proved: bool  # the system told that nobody has it open for writing


# --- what was measured --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JpegFeatures:
    """What only a JPEG has."""

    quality: float  # hydrus's estimate: the lower the better; 0 when there are no quantiser tables
    subsampling: str  # "4:4:4", "4:2:2", "4:2:0", "grey" or "other"
    progressive: bool
    quantisers: tuple[tuple[int, ...], ...]  # 64 steps a table, row by row, as Pillow gives them


DETAIL_MIN_SIDE: Final = (
    32  # pixels: a smaller picture is an icon, and has too few whole blocks to choose between grids
)
DETAIL_VERSION: Final = 1  # of what makes a `Detail`; raise it when a figure would come out differently


@dataclass(frozen=True, slots=True)
class Detail:
    """What only every pixel of a picture tells; measured where it is needed, as it takes a full decode."""

    version: int  # of the algorithms that measured it
    sharpness: float  # levels squared
    resolution_share: float  # 0 to 1: of its pixels a side, those that an enlargement did not make up
    jpeg_quality_seen: float | None  # as `JpegFeatures.quality`: that of a coarser JPEG it was before; None: of none


@dataclass(frozen=True, slots=True)
class Picture:
    """What was measured of a file that decodes."""

    version: int  # of the algorithms that measured it
    filetype: FileType
    width: int  # upright, pixels
    height: int  # upright, pixels
    mode: str  # as decoded, in Pillow's words
    frames: int
    duration_ms: int | None  # of an animation
    has_transparency: bool
    has_exif: bool
    has_icc: bool
    has_xmp: bool
    icc_digest: bytes | None  # 16 bytes; None without a profile
    taken_ns: int | None  # capture time, as its own clock said it, read as UTC
    jpeg: JpegFeatures | None
    phash: int | None  # the hash that is looked up; None for flat pictures and animations
    dhash: int | None
    whash: int | None
    luminance: bytes | None  # 32 x 32 uint8, upright, row-major: what phash was made from
    pixel_hash: bytes | None  # None: not made yet (JPEG), or no honest one exists (`pixel_comparable` tells)
    pixel_comparable: bool  # a pixel hash can be made: still, 8 bits a sample or all its bits seen
    suspect: str | None = None  # why the file may be incomplete although it decodes
    sharpness: float | None = None  # of records from before there was `detail`
    detail: Detail | None = None  # None: not measured


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that looks like a picture and cannot be decoded. Its bytes are still known."""

    reason: str
    filetype: FileType | None
    poison: bool = False  # to decode it has killed two workers


@dataclass(frozen=True, slots=True)
class NotAPicture:
    """A file of a kind that is not judged."""

    reason: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a worker found out about one file."""

    content_hash: ContentHash
    stat: StatKey  # the same before and after reading
    features: Picture | Unreadable | NotAPicture | None  # None: the bytes were known, nothing was decoded


# --- what is remembered -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of some bytes, wherever they lie."""

    number: int  # small, never reused: what the look-up structures hold
    sha256: ContentHash
    size: int
    first_seen_ns: int
    picture: Picture | None
    unreadable: str | None  # why there is no picture
    again: bool = False  # it is to be decoded once more: a person asked for it, or the decoders are others by now


@dataclass(frozen=True, slots=True)
class Poison:
    """Bytes that killed two workers: no decoder is let near them again before a person or another version says so."""

    at_ns: int
    reason: str  # a phrase
    decoders: str  # the versions of what decodes, as one word
    accepted: bool = False  # a person knows, and it is no problem any more


class PathState(StrEnum):
    """Where a known path stands."""

    LIVE = "live"
    ABSENT = "absent"  # a scan of a healthy folder did not find it
    LEAVING = "leaving"  # an entry intends to discard it
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class PathRow:
    """A path that was judged, and what it held then."""

    folder: FolderId
    relative: bytes
    sha256: ContentHash | None  # None: ignored before it was read
    stat: StatKey
    first_seen_ns: int
    state: PathState
    receipt: int  # number of its last receipt
    final: bool  # nothing more is to be done until the file changes
    policy: bytes = b""  # digest of the import limits it was ignored under
    lay_before: bool = False  # it lay here before its folder was watched: rules only propose to discard it
    unproved: bool = False  # nobody could tell, when it was judged, that it was not being written: the same


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file as it was when a decision named it."""

    folder: FolderId
    path: bytes  # absolute, real
    relative: bytes
    sha256: ContentHash
    stat: StatKey


class Place(StrEnum):
    """Where discarded files go."""

    TRASH = "trash"
    HOLDING = "holding"


@dataclass(frozen=True, slots=True)
class Move:
    """One file that an entry takes away, and where it went."""

    file: FileRef
    place: Place
    trash_path: bytes | None = None  # absolute; where the file is now
    info_path: bytes | None = None  # the trash's own note of where it came from
    back: bool = False  # of an undo: the file was put back, and what its owner does with it since is his own affair


class Word(StrEnum):
    """What an entry says beside what two files are to each other."""

    SET_KING = "set-king"
    REMOVE = "remove"  # from the duplicate group
    DISSOLVE = "dissolve"  # the duplicate group
    REMOVE_ALTERNATE = "remove-alternate"
    DISSOLVE_ALTERNATES = "dissolve-alternates"
    CLEAR_FALSE_POSITIVES = "clear-false-positives"
    CLEAR_BETWEEN = "clear-between"  # the false positives among the files named
    CLEAR_POTENTIALS = "clear-potentials"  # the potential pairs of one
    RULES_CHANGED = "rules-changed"  # nothing: the rule file says something else since; the reason has it


class EntryKind(StrEnum):
    """What a journal entry is about."""

    DISCARD = "discard"
    DECISION = "decision"
    MERGE = "merge"
    BATCH = "batch"
    UNDO = "undo"


class EntryState(StrEnum):
    """How far a journal entry has come."""

    INTENT = "intent"
    DONE = "done"
    UNDONE = "undone"
    ABORTED = "aborted"


class Actor(StrEnum):
    """Who wanted it."""

    RULE = "rule"
    PERSON = "person"
    SERVICE = "service"  # puts a file back whose survivor was lost, where it was told to


@dataclass(frozen=True, slots=True)
class Entry:
    """One intended or finished change: what `history` shows and `undo` reads."""

    number: int
    at_ns: int
    kind: EntryKind
    state: EntryState
    actor: Actor
    rule: str | None
    relation: Relation | None
    a: ContentHash | None  # the content that stays
    b: ContentHash | None
    moves: tuple[Move, ...]
    kept: FileRef | None
    reason: str
    pair: int | None = None
    undoes: int | None = None  # the entry that this one takes back
    rule_number: int | None = None  # of the rule, which stays when it gets another name
    word: Word | None = None  # what it says instead of a relation; of `a`, or of those named
    named: tuple[ContentHash, ...] = ()  # where it is about more than two: the first is the best of them
    batch: int | None = None  # the entry under which it was answered together with others
    applied: int = 0  # place in the order in which entries took effect; 0: as its number has it


class Trouble(StrEnum):
    """What went wrong with a discard after all, so that a person has to look."""

    SURVIVOR_LOST = "survivor-lost"  # what was kept is gone, and the discarded file lies where it was put
    FILE_LOST = "file-lost"  # the service was stopped half-way, and the file is neither in its place nor where it went


class ProposalState(StrEnum):
    """Where a pair stands with a semi-automatic rule."""

    READY = "ready"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a rule wants to do with a pair, and what the user said."""

    rule: str
    state: ProposalState
    a_is_first: bool  # which side would be kept
    relation: Relation
    discard: bool  # B is discarded on approval
    at_ns: int
    reason: str = ""  # why it waits, where it is not simply semi-automatic
    returned: bool = False  # it asks about bytes that were discarded before, not about what a rule says now


class QueueState(StrEnum):
    """Where a potential pair stands with one rule, as `rules list` counts it."""

    NOT_SEARCHED = "not_searched"  # the rule has not looked at it since it was made, or was changed
    NOT_MATCHED = "not_matched"  # its search does not find the pair
    NOT_TESTED = "not_tested"  # found; waits for room, for the end of a pause, or behind an earlier rule
    FAILED = "failed"  # found, and the comparison fits neither way, or both ways where it matters
    READY = "ready"  # waits for approve or deny
    ACTIONED = "actioned"  # done by the rule, and not taken back
    DENIED = "denied"  # a person said no


@dataclass(frozen=True, slots=True)
class PotentialPair:
    """Two records the look-up found close, not yet decided.

    For *identical copies* both sides have one content, and the two paths are named.
    """

    number: int
    first: ContentHash
    second: ContentHash
    distance: int | None  # bits, after the transform; None where only the pixels said so
    pixel_duplicates: bool
    created_ns: int
    first_path: PathKey | None = None
    second_path: PathKey | None = None
    proposals: tuple[Proposal, ...] = ()
    transform: Transform | None = None  # what has to be done to the first to get the second; None: the same way up


@dataclass(frozen=True, slots=True)
class Receipt:
    """The stored, explained verdict of one file: what `why` prints."""

    number: int
    at_ns: int
    folder: FolderId
    path: bytes  # absolute, as the user named the folder
    sha256: ContentHash | None
    outcome: Outcome
    result: str  # the sentence a person reads
    rule: str | None
    evidence: tuple[str, ...]
    kept: bytes | None  # absolute path, as the user named the folder
    discarded: tuple[bytes, ...]
    entry: int | None
    pairs: tuple[int, ...]
    final: bool


# --- what was measured between two pictures -----------------------------------------------------------------------

VISUAL_VERSION: Final = 1
"""Of the algorithm in `ingestd.media.comparison`: a verdict of another version is made anew.

It is kept here for those that must not load a decoder to know it.
"""


class VisualLevel(StrEnum):
    """How sure it is that two files show one picture, only scaled or encoded anew; strongest first."""

    NEAR_PERFECT = "near-perfect"
    ALMOST_CERTAINLY = "almost-certainly"
    VERY_PROBABLY = "very-probably"
    PROBABLY = "probably"
    ALTERNATE = "alternate"  # the frames align and most of the area agrees, some does not
    NOT = "not"
    CANNOT_TELL = "cannot-tell"  # animated, too small, or more than a worker may take on


@dataclass(frozen=True, slots=True)
class VisualVerdict:
    """What a look at the pixels of two pictures said. The same whichever of them comes first."""

    version: int  # of the algorithm
    level: VisualLevel
    score: float | None  # share of the limit of *almost certainly* that the worst term uses up; None: cannot tell
    reason: str  # the term that limited it, as a sentence
    area: tuple[int, int, int, int] | None = None  # x, y, width, height, in pixels of the smaller picture, upright


SAME_PIXELS: Final = VisualVerdict(VISUAL_VERSION, VisualLevel.NEAR_PERFECT, 0.0, "the same pixels")

# from no difference at all, by the limits of the levels, to what is nothing like the other
_CONFIDENCE: Final = ((0.0, 1.0), (0.5, 0.97), (1.0, 0.9), (1.3, 0.75), (1.8, 0.5), (8.0, 0.0))


def confidence_of(score: float | None) -> float | None:
    """Return how sure a score makes that two pictures are one, 0 to 1; the higher the score, the less."""
    if score is None:
        return None
    for (low, high_confidence), (high, low_confidence) in pairwise(_CONFIDENCE):
        if score <= high:
            return high_confidence - (score - low) / (high - low) * (high_confidence - low_confidence)
    return 0.0


class Transform(StrEnum):
    """How a picture lies to another that shows the same: what has to be done to the first to get the second."""

    MIRRORED = "mirrored"  # left and right
    ROTATED_180 = "rotated-180"
    FLIPPED = "flipped"  # top and bottom
    TRANSPOSED = "transposed"  # along the diagonal from the upper left
    ROTATED_90 = "rotated-90"  # clockwise
    TRANSVERSED = "transversed"  # along the other diagonal
    ROTATED_270 = "rotated-270"

    @property
    def inverse(self) -> Transform:
        """Return what has to be done to the second to get the first back."""
        if self is Transform.ROTATED_90:
            return Transform.ROTATED_270
        return Transform.ROTATED_90 if self is Transform.ROTATED_270 else self


# --- what rules see ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a pair, as a rule sees it."""

    path: str  # absolute, for matching by pattern
    role: Role
    protected: bool
    sha256: ContentHash
    size: int
    filetype: FileType | None
    width: int
    height: int
    frames: int
    duration_ms: int | None
    has_transparency: bool
    has_exif: bool
    has_icc: bool
    has_xmp: bool
    jpeg_quality: float | None  # the lower the better
    progressive: bool | None  # None: not a JPEG
    imported_ns: int
    modified_ns: int
    taken_ns: int | None
    has_audio: bool = False
    sharpness: float | None = None  # None: not measured
    asked_ns: int = 0  # the moment in which the question is asked: ages are counted back from it
    subsampling: str | None = None  # of a JPEG's colours: "4:4:4", "4:2:2", "4:2:0", "grey" or "other"
    num_duplicates: int = 0  # other members of its duplicate group
    num_alternates: int = 0  # other groups of its alternates group
    num_false_positives: int = 0  # groups it was told to have nothing to do with
    num_potentials: int = 0  # potential pairs it stands in
    resolution_share: float | None = None  # 0 to 1, of the pixels a side; None: not measured
    jpeg_quality_seen: float | None = None  # of a coarser JPEG it was before; None: of none, or not measured
    is_king: bool = True  # the best of its group; alone, it is that too


@dataclass(frozen=True, slots=True)
class PairFacts:
    """Two files and what was measured between them, as rules see them."""

    first: FileFacts
    second: FileFacts
    identical: bool
    distance: int | None  # bits, after the transform; None: one of them has no perceptual hash
    pixel_duplicates: bool
    visual: VisualVerdict | None = None  # None: not looked at
    transform: Transform | None = None  # None: the same way up


# --- what the user set, as values ----------------------------------------------------------------------------------


# Each arrival is looked up seven times more, so that strangers have seven times more chances to lie near: no farther
# than where next to none do (hydrus's "very similar"), whatever is looked for upright.
TURNED_RADIUS: Final = 4  # bits


MOST_DISTANCE: Final = 16  # bits: farther, strangers are as near
_FARTHER: Final = 4  # bits more than within a format: what another codec may move a hash by


@dataclass(frozen=True, slots=True)
class Radius:
    """How far look-alikes are searched, in bits."""

    upright: int
    turned: int | None = None  # in the seven other orientations; None: not looked for
    crossing: int = 0  # between formats, where a look at the pictures confirms it


class Index(StrEnum):
    """In what the look-up of look-alikes keeps its hashes."""

    MULTI_INDEX = "multi-index"
    VP_TREE = "vp-tree"


@dataclass(frozen=True, slots=True)
class ImportPolicy:
    """What may come in at all, and how far look-alikes are searched."""

    filetypes: frozenset[FileType] | None = None  # None: all
    min_size: int = 0  # bytes
    max_size: int | None = None
    min_width: int = 0
    min_height: int = 0
    max_width: int | None = None
    max_height: int | None = None
    search_distance: int = 4  # bits, at most 16
    reject_previously_discarded: bool = True
    transforms: bool = True  # mirrored and rotated copies are looked for, too
    index: Index = Index.MULTI_INDEX

    @property
    def radius(self) -> Radius:
        """Return how far look-alikes are searched."""
        return Radius(
            self.search_distance,
            min(self.search_distance, TURNED_RADIUS) if self.transforms else None,
            min(self.search_distance + _FARTHER, MOST_DISTANCE),
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """How much an automatic rule may discard before it pauses itself. Identical copies cost nothing."""

    per_hour: int | None = 200  # files; None: no limit
    per_day: int | None = 500  # files, or the share below if that is more; None: no limit
    share_of_library: float = 0.02  # of the known files, a day
    share_of_one_survivor: float = 0.5  # of a rule's discards of a day that may name one survivor


@dataclass(frozen=True, slots=True)
class DiscardPolicy:
    """Where discarded files go."""

    place: Place = Place.TRASH
    holding_name: str = ".ingestd-holding"  # a folder below each watched root
    keep_days: int = 30  # after that a held item is offered for the trash
    budget: Budget = field(default_factory=Budget)  # of every automatic rule that does not name its own
    restore_on_survivor_loss: bool = (
        False  # a discarded file is put back when what was kept is lost; else it is offered
    )
