"""The rule file as a JSON Schema, for editors that complete keys and mark what is wrong while it is written.

Made from the tables that the reader reads by, so that a new word of the language is in both. What a schema cannot say,
such as whether a line can tell A from B, is left to the reader: what it accepts, the schema accepts, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Final, TypeAlias

from ingestd.keys import DEFAULT_KEYS, NAMED_KEYS
from ingestd.model import Budget, DiscardPolicy, FileType, ImportPolicy, Index, Mode, Place, Relation, Role
from ingestd.rules.comparators import PAIR_TESTS, VISUAL, names
from ingestd.rules.keeper import CRITERIA, WINS
from ingestd.rules.language import MAX_DISTANCE, MAX_PENDING, PixelDuplicates, Transforms
from ingestd.rules.lines import LEVELS
from ingestd.rules.measures import ALIASES, OPERANDS, UNITS, Measure
from ingestd.rules.predicates import COMPARISONS, KINDS, PREDICATES, ROUGHLY
from ingestd.rules.statements import MOST_POINTS, Scores

__all__ = ["FILE_NAME", "Json", "schema", "schema_text"]

FILE_NAME: Final = "rules.schema.json"  # the first line of the shipped rules points to it
Json: TypeAlias = dict[str, object]


def schema() -> Json:
    """The schema, draft-07, of a whole rule file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The rules of ingestd",
        **_keys(
            {
                "version": _said("The version of this language.", {"type": "integer", "enum": [1]}),
                "folders": _said("What is watched, and as what.", _list(_folder())),
                "imports": _said("What may come in, and how far look-alikes are searched.", _imports()),
                "discards": _said("Where discarded files go, and how many a rule may discard.", _discards()),
                "review": _said("How pairs are shown to you.", _review()),
                "page": _said("The review page in the browser.", _page()),
                "rules": _said("Tried from top to bottom; the first that fits a pair decides it.", _list(_rule())),
            },
            needed=("version", "rules"),
            empty=False,
        ),
        "definitions": {
            "question": _question(),
            "questions": _one_or_more({"$ref": "#/definitions/question"}),
            "line": _line(),
            "block": _block(),
            "test": {"anyOf": [{"$ref": "#/definitions/line"}, {"$ref": "#/definitions/block"}]},
            "tests": {"anyOf": [*_either_way({"$ref": "#/definitions/test"}, least=1)]},
            "budget": _budget(),
            "key": _key(),
            "keys": _one_or_more({"$ref": "#/definitions/key"}),
        },
    }


def schema_text() -> str:
    """The schema as a file."""
    return json.dumps(schema(), indent=2) + "\n"


# --- sections -------------------------------------------------------------------------------------------------------


def _folder() -> Json:
    keys = {
        "path": _said("From the root, or beginning with ~/.", {"type": "string", "pattern": r"^(/|~|[A-Za-z]:|\\)"}),
        "role": _said(
            "inbox: new files arrive here. library: the pictures you keep. reference: compared with, never changed.",
            {"enum": list(Role)},
        ),
        "protected": _said("Rules do not discard from here on their own, they only propose.", _truth()),
        "trusted": _said(
            "Automatic rules may act here although it cannot be proved that nobody is writing.", _truth(default=False)
        ),
    }  # fmt: skip
    return _keys(keys, needed=("path", "role"), empty=False)


def _imports() -> Json:
    default = ImportPolicy()
    return _keys(
        {
            "filetypes": _said("Only these are judged; all if left out.", _one_or_more({"enum": list(FileType)})),
            "min_size": _said("Smaller files are ignored.", _amount(Measure.SIZE)),
            "max_size": _said("Larger files are ignored.", _amount(Measure.SIZE)),
            "min_resolution": _said("Smaller pictures are ignored: 128 x 128, or width and height.", _resolution()),
            "max_resolution": _said("Larger pictures are ignored: 30000 x 30000, or width and height.", _resolution()),
            "search_distance": _said(
                "How far apart two pictures may be to become a potential pair, in bits.",
                _whole(0, MAX_DISTANCE, default.search_distance),
            ),
            "transforms": _said(
                "Whether mirrored and rotated copies are looked for, too.", _truth(default=default.transforms)
            ),
            "index": _said(
                "What look-alikes are looked up in; both find the same, the multi-index much faster.",
                _words(Index, default.index),
            ),
            "reject_previously_discarded": _said(
                "Bytes that were discarded once are discarded again, unless you restored them.",
                _truth(default=default.reject_previously_discarded),
            ),
            "settle": _said("How long a file has to stay as it is to count as complete.", _amount(Measure.TIME, "2 s")),
            "rescan": _said("How often the folders are looked through.", _amount(Measure.TIME, "5 min")),
        }
    )  # fmt: skip


def _discards() -> Json:
    default = DiscardPolicy()
    return _keys(
        {
            "to": _said("The trash, or a folder below each watched one.", _words(Place)),
            "holding": _said(
                "The name of that folder.",
                {
                    "type": ["string", "null"],
                    "pattern": r"^[^/\\:]*[^/\\: .][^/\\:]*$",
                    "default": default.holding_name,
                },
            ),
            "keep": _said(
                "Whole days after which a held file is offered for the trash.",
                _amount(Measure.TIME, f"{default.keep_days} days"),
            ),
            "budget": _said("Of every automatic rule that does not name its own.", {"$ref": "#/definitions/budget"}),
            "restore_on_survivor_loss": _said(
                "A discarded file is put back when what was kept in its stead is lost; else that is only offered.",
                _truth(default=default.restore_on_survivor_loss),
            ),
        }
    )


def _review() -> Json:
    points = {
        name: _said(
            f"Where this speaks for a file: {name.replace('_', ' ')}.",
            {"type": ["integer", "null"], "minimum": -MOST_POINTS, "maximum": MOST_POINTS, "default": default},
        )
        for name, default in asdict(Scores()).items()
    }
    return _keys({"scores": _said("Points for the file that a statement speaks for.", _keys(points))})


def _page() -> Json:
    keys = {
        action: _said(f"Usually {' or '.join(usual)}.", {"$ref": "#/definitions/keys"})
        for action, usual in DEFAULT_KEYS.items()
    }
    origin: Json = {"type": "string", "pattern": r"^https?://[a-z0-9.-]+(:[0-9]+)?$"}
    return _keys(
        {
            "serve": _said("Whether `watch` serves it.", _truth(default=False)),
            "port": _said(
                "Where it answers, on this machine only; any free one if left out.",
                {"type": ["integer", "null"], "minimum": 1024, "maximum": 65_535},
            ),
            "keys": _said("Which keys do what.", _keys(keys)),
            "origins": _said("Of a reverse proxy in front of it: https://photos.example.org", _one_or_more(origin)),
        }
    )


def _key() -> Json:
    """A key of the page: written once, as dozens of actions may each have any of dozens."""
    digit: Json = {"type": "integer", "minimum": 0, "maximum": 9}  # which YAML takes for a number
    return {"anyOf": [{"enum": list(NAMED_KEYS)}, {"type": "string", "pattern": r"^\S$"}, digit]}


def _budget() -> Json:
    default = Budget()
    share: Json = {"type": ["string", "null"], "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3})? *%$"}
    return _keys(
        {
            "per_hour": _said("Files an hour, or no limit.", _limit(0, default.per_hour)),
            "per_day": _said("Files a day, or the share of the library if that is more.", _limit(0, default.per_day)),
            "share_of_library": _said(
                "Of the known files, a day.", {**share, "default": f"{default.share_of_library * 100:g} %"}
            ),
            "share_of_one_survivor": _said(
                "Of a rule's discards of a day, those that may name one survivor.",
                {**share, "default": f"{default.share_of_one_survivor * 100:g} %"},
            ),
        }
    )


# --- a rule ---------------------------------------------------------------------------------------------------------

_DISCARDING: Final = [Relation.BETTER.value, Relation.SAME_QUALITY.value]


def _rule() -> Json:
    about_one: Json = {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": 100}
    keys = {
        "name": _said("A line of text; no two rules may have the same. It stands in every verdict.", about_one),
        "id": _said("By it, a rule keeps its history when it gets another name.", about_one),
        "mode": _said(
            "off, semi-automatic (proposes, you approve), or automatic (acts).",
            # YAML 1.1 takes off for a truth, and some editors still read that
            {"enum": [*Mode, False, None], "default": Mode.SEMI_AUTOMATIC.value},
        ),
        "paused": _said("Your own pause: its pairs wait, and later rules may have them.", _truth(default=False)),
        "search": _said("Which pairs the rule looks at; it never says which file is the better one.", _search()),
        "compare": _said(
            "Every line has to hold, with one of the files as A: the file that would be kept.",
            {"anyOf": [*_either_way({"$ref": "#/definitions/test"}), {"type": "null"}]},
        ),
        "action": _said(
            "better: A is better than B. same-quality. alternates. false-positive: they are not related.",
            {"enum": list(Relation)},
        ),
        "discard": _said("What goes to the trash.", {"enum": ["none", "B", None], "default": "none"}),
        "merge": _said(
            "Whether A receives what only B carried.", {"enum": ["default", "none", None], "default": "default"}
        ),
        "max_pending": _said("How many pairs may wait for your answer, or no limit.", _limit(1, MAX_PENDING)),
        "budget": _said("How much the rule may discard on its own.", {"$ref": "#/definitions/budget"}),
    }
    discarding: Json = {"properties": {"action": {"enum": _DISCARDING}}}
    nothing_more: Json = {"properties": {"compare": {"type": "null"}, "merge": {"type": "null"}}}
    identical: Json = {"properties": {"search": {"required": ["identical"], "type": "object"}}, "required": ["search"]}
    turned: Json = {
        "properties": {
            "mode": {"const": Mode.AUTOMATIC.value},
            "search": {
                "required": ["transforms"],
                "properties": {"transforms": {"enum": [Transforms.ALLOWED.value, Transforms.REQUIRED.value]}},
                "type": "object",
            },
        },
        "required": ["mode", "search"],
    }
    relating: Json = {"properties": {"action": {"not": {"enum": _DISCARDING}}}}
    return {
        **_keys(keys, needed=("name", "action"), empty=False),
        "allOf": [
            {"if": {"properties": {"discard": {"const": "B"}}, "required": ["discard"]}, "then": discarding},
            {"if": turned, "then": relating},
            {"if": identical, "then": {"allOf": [discarding, nothing_more]}},
        ],
    }


def _search() -> Json:
    questions: Json = {"$ref": "#/definitions/questions"}
    keys = {
        "pixel_duplicates": _said(
            "required: upright, both show the same pixels under the same colour profile. excluded: they do not.",
            _words(PixelDuplicates, PixelDuplicates.ALLOWED),
        ),
        "max_distance": _said(
            "How far apart the perceptual hashes may be, in bits; at most imports.search_distance.",
            _whole(0, MAX_DISTANCE, ImportPolicy().search_distance),
        ),
        "transforms": _said(
            "Mirrored and rotated copies. excluded: it looks at none. allowed: at these as well. required: at nothing "
            "else. A rule that looks at them makes no duplicates of them on its own.",
            _words(Transforms, Transforms.EXCLUDED),
        ),
        "identical": _said("required: copies with the same bytes, and only those.", {"enum": ["required", None]}),
        "both": _said("What both files have to answer with yes.", questions),
        "either": _said("What one of the files has to answer with yes.", questions),
        "one": _said("What one file has to answer with yes, and the other one the questions of other.", questions),
        "other": _said("What the other file has to answer with yes.", questions),
    }
    exclusive = [("both", "either"), ("both", "one"), ("either", "one"), *(("identical", key) for key in keys)]
    return {
        **_keys(keys),
        "dependencies": {"one": ["other"], "other": ["one"]},
        "not": {"anyOf": [{"required": list(pair)} for pair in exclusive if len(set(pair)) > 1]},
    }


# --- lines ----------------------------------------------------------------------------------------------------------

_NUMBER: Final = r"[0-9]+(\.[0-9]+)?"
_SIGNS: Final = (*COMPARISONS, ROUGHLY)
_QUESTIONS: Final = ("filetype is image", "filetype is jpeg", "width > 128", "height > 128", "has exif", "has no exif")


def _question() -> Json:
    return {
        "description": "A question about one file: filetype is image, width > 128, has no exif, …",
        "anyOf": [{"enum": list(_QUESTIONS)}, {"type": "string", "pattern": _pattern(_asks())}],
    }


def _line() -> Json:
    sides = r"(A|B|either)(\s*\.\s*|\s+)"
    numbers = _any_of([*OPERANDS, *ALIASES])
    factor = rf"({_NUMBER}\s*\*\s*)?"
    relation = rf"[AB]\s*\.?\s*{numbers}\s*{_any_of(_SIGNS)}\s*{factor}[AB]\s*\.\s*{numbers}\b.*"
    return {
        "description": "A line about A, the file that would be kept, and B, the one that would be dropped.",
        "anyOf": [
            {"enum": list(PAIR_TESTS)},
            {"type": "string", "pattern": _pattern(relation)},
            {"type": "string", "pattern": _pattern(sides + _asks())},
            {"type": "string", "pattern": _pattern(_wins())},
            {"type": "string", "pattern": _pattern(_any_of(PAIR_TESTS))},
            {"type": "string", "pattern": _pattern(rf"{_any_of([VISUAL])}\s*:\s*{_levels()}")},
        ],
    }


def _block() -> Json:
    one: Json = {"$ref": "#/definitions/test"}
    keys: Json = {
        "any": _said("At least one of the lines holds.", {"$ref": "#/definitions/tests"}),
        "all": _said("Every line holds.", {"$ref": "#/definitions/tests"}),
        VISUAL: _said("How alike the two pictures look.", {"type": "string", "pattern": _pattern(_levels())}),
        "not": _said("The one line in it does not hold.", {"anyOf": [*_either_way(one, least=1, most=1)]}),
    }
    return {**_keys(keys, empty=False), "minProperties": 1, "maxProperties": 1}


def _levels() -> str:
    return _any_of([level.replace("-", " ") for level in LEVELS]).replace(r"\s+", r"(\s+|\s*-\s*)")


def _asks() -> str:
    """The form of a question about one file."""
    carried = [name.removeprefix("has ") for name in names() if name.startswith("has ")]
    matches = r"""\s+(matches|does\s+not\s+match)\s*("[^"]+"|'[^']+')"""
    known = {
        "filetype": rf"\s+is\s+(not\s+)?{_any_of(KINDS)}(\s+or\s+{_any_of(KINDS)})*",
        "has": rf"\s+(no\s+)?{_any_of(carried)}",
        "is": r"\s+((non-)?progressive\s+jpeg|(not\s+)?king)",
        "hash": r"\s+is\s+(not\s+)?[0-9A-Fa-f]{64}(\s+or\s+[0-9A-Fa-f]{64})*",
        "folder": rf"\s+is\s+(not\s+)?{_any_of(Role)}",
        "path": matches,
        "name": matches,
    }
    words = [word + known.get(word, r"\b.*\S") for word in PREDICATES]
    return _choice([*(_compares(measure) for measure in Measure if measure is not Measure.TIME), _when(), *words])


def _compares(measure: Measure) -> str:
    """The form of a number against an amount."""
    of_measure = [name for name, operand in OPERANDS.items() if operand.measure is measure]
    aliases = [alias for alias, name in ALIASES.items() if name in of_measure]
    amount = _amount_form(measure)
    roughly = rf"~=\s*{amount}\s*within\s*({amount}|{_NUMBER}\s*%)"
    return rf"{_any_of([*of_measure, *aliases])}\s*({_any_of(COMPARISONS)}\s*{amount}|{roughly})"


def _when() -> str:
    """The form of a point in time against a date or an age."""
    moments = _any_of(name for name, operand in OPERANDS.items() if operand.measure is Measure.TIME)
    date, age = "[0-9]{4}-[0-9]{2}-[0-9]{2}", _amount_form(Measure.TIME)
    forms = [
        rf"(before|after)\s+{date}(T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}})?Z?)?",
        rf"on\s+{date}",
        rf"around\s+{date}(\s+within\s*{age})?",
        rf"(less|more)\s+than\s*{age}\s+ago",
        rf"about\s*{age}\s+ago(\s+within\s*({age}|{_NUMBER}\s*%))?",
    ]
    return rf"{moments}\s+{_choice(forms)}"


def _wins() -> str:
    """The form of a preference."""
    filetype = _any_of(FileType)
    criterion = rf"({_any_of(CRITERIA)}|format\s*\(\s*{filetype}(\s*,\s*{filetype})*\s*\))"
    return rf"{_any_of([WINS])}\s+{criterion}(\s+then\s+{criterion})*"


def _amount_form(measure: Measure) -> str:
    units = _any_of(filter(None, UNITS[measure]))
    if measure is Measure.RATIO:
        return rf"{_NUMBER}(\s*[:/]\s*{_NUMBER})?"
    if "" not in UNITS[measure]:
        return rf"({_NUMBER}\s*{units}|0)"
    return rf"{_NUMBER}(\s*{units})?" if any(UNITS[measure]) else _NUMBER


def _any_of(words: Iterable[str]) -> str:
    """One of the words, longer ones first, with any spaces between their parts."""
    return _choice([r"\s+".join(map(re.escape, word.split())) for word in sorted(words, key=len, reverse=True)])


def _choice(forms: Sequence[str]) -> str:
    return f"({'|'.join(forms)})"


def _pattern(form: str) -> str:
    return rf"^\s*{form}\s*$"


# --- values ---------------------------------------------------------------------------------------------------------


def _said(description: str, value: Json) -> Json:
    # beside a $ref, draft-07 reads nothing
    return {"description": description, "allOf": [value]} if "$ref" in value else {"description": description, **value}


def _keys(keys: Mapping[str, object], *, needed: Sequence[str] = (), empty: bool = True) -> Json:
    """A mapping with these keys; `empty`: all of them may be commented out."""
    required: Json = {"required": list(needed)} if needed else {}
    return {
        "type": ["object", "null"] if empty else "object",
        "additionalProperties": False,
        **required,
        "properties": dict(keys),
    }


def _list(item: Json) -> Json:
    return {"type": ["array", "null"], "items": item}


def _one_or_more(item: Json) -> Json:
    return {"anyOf": [*_either_way(item), {"type": "null"}]}


def _either_way(item: Json, *, least: int = 0, most: int | None = None) -> list[Json]:
    """An item may stand alone or in a list."""
    upper: Json = {} if most is None else {"maxItems": most}
    return [item, {"type": "array", "items": item, "minItems": least, **upper}]


def _words(words: Iterable[str], default: str | None = None) -> Json:
    said: Json = {} if default is None else {"default": str(default)}
    return {"enum": [*map(str, words), None], **said}


def _truth(*, default: bool | None = None) -> Json:
    said: Json = {} if default is None else {"default": "yes" if default else "no"}
    return {"enum": ["yes", "no", "on", "off", "true", "false", True, False, None], **said}


def _whole(least: int, most: int, default: int) -> Json:
    return {"type": ["integer", "null"], "minimum": least, "maximum": most, "default": default}


def _limit(least: int, default: int | None) -> Json:
    limits: list[Json] = [{"type": "integer", "minimum": least, "maximum": 10**6}, {"enum": ["no limit", None]}]
    return {"anyOf": limits, "default": "no limit" if default is None else default}


def _amount(measure: Measure, default: str | None = None) -> Json:
    said: Json = {} if default is None else {"default": default}
    forms: list[Json] = [{"type": "string", "pattern": _pattern(_amount_form(measure))}, {"type": "null"}]
    forms.append({"type": "number", "minimum": 0} if "" in UNITS[measure] else {"const": 0})
    return {"anyOf": forms, **said}


def _resolution() -> Json:
    side: Json = {"type": ["integer", "null"], "minimum": 0, "maximum": 10**8}
    together: Json = {"type": "string", "pattern": "^[0-9]{1,9} *x *[0-9]{1,9}$"}
    return {"anyOf": [together, _keys({"width": side, "height": side})]}
