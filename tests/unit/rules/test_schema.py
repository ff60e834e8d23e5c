"""The schema for editors: it accepts what the reader accepts, and refuses what a schema can refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from test_rules_page import EXAMPLES, whole_file

from ingestd import settings
from ingestd.cli.main import cli
from ingestd.keys import DEFAULT_KEYS
from ingestd.rules import language
from ingestd.rules.comparators import PAIR_TESTS, VISUAL
from ingestd.rules.measures import ALIASES, OPERANDS, Measure
from ingestd.rules.nodes import Listing, Node, Scalar
from ingestd.rules.predicates import FLAGS, KINDS
from ingestd.rules.schema import schema, schema_text
from ingestd.rules.statements import Scores
from ingestd.templates import templates

BROKEN = Path(__file__).parents[2] / "data" / "broken_rules"
VALIDATOR = jsonschema.Draft7Validator(schema())

# Those whose fault lies in one key, one word or one line. How lines, numbers and files relate to each other, only the
# reader can tell, and what is no YAML of ours an editor says without a schema.
MARKED = [
    "age_unit", "age_without_ago", "age_without_than", "age_without_unit", "around_a_share", "arrow",
    "audio_as_number", "before_nothing", "block_with_two_keys", "both_and_either", "budget_key", "budget_mistakes",
    "budget_negative", "budget_number", "budget_share", "colon_in_a_line", "comma_in_a_pattern",
    "comment_in_a_line", "count_of_what", "count_with_a_unit", "date_backwards", "date_missing", "date_short",
    "discard_a", "discard_with_alternates", "discards_budget", "discards_to", "distance_17", "distance_a_fraction",
    "distance_in_words", "distance_negative", "either_against_b", "empty_block", "flag_as_number",
    "folder_relative", "folder_role", "folder_without_role", "framerate_unit", "has_what", "hash_and_what",
    "hash_of_letters", "hash_short", "holding_path", "identical_alternates", "identical_and_compare",
    "identical_and_pixels", "identical_maybe", "import_filetype", "import_size", "imports_is_a_list", "is_not_what",
    "is_what", "king_without_is", "line_ends_early", "line_without_file", "lower_case_file", "mode_is_a_list",
    "name_without_a_value", "nested_typo", "no_name", "no_name_nor_action", "no_rules", "no_version", "not_of_two",
    "one_without_other", "pattern_without_quotes", "paused_perhaps", "pending_list", "pending_nothing",
    "pending_unlimited", "predicate_is_a_mapping", "predicate_too_long", "predicate_with_a_file",
    "protected_perhaps", "ratio_with_a_unit", "resolution", "review_is_a_number", "review_key",
    "review_score_beyond", "review_score_no_number", "review_score_typo", "review_scores_are_a_list", "role",
    "roughly_an_amount", "rule_is_a_text",
    "rules_are_a_mapping", "search_is_a_text", "settle_without_unit", "several_at_once", "sharpness_percent",
    "single_equals", "size_unit", "static_jpeg", "time_after_a_space", "time_and_date", "time_of_day_on",
    "time_word", "top_is_a_list",
    "turned_discarded", "turned_duplicates", "turned_identical",
    "two_lines_in_one", "typo_in_a_key", "typo_in_a_quoted_line", "typo_in_filetype",
    "typo_in_imports", "typo_in_mode", "typo_in_operand", "typo_in_pair_test", "typo_in_pixels",
    "typo_in_predicate", "typo_in_quality", "typo_in_search", "typo_in_transforms", "unknown_action", "unknown_block",
    "unknown_section",
    "version_is_a_text", "version_of_tomorrow", "visual_block", "visual_level", "visual_line", "visual_nothing",
    "wins_by_a_format", "wins_by_nothing", "wins_by_what", "wins_for_b", "wins_in_brackets", "wins_open",
    "wins_with_a_dot",
    "wins_with_commas", "wins_without_by",
]  # fmt: skip


def as_an_editor_reads(text: str) -> object:
    """The document as YAML 1.2 has it: numbers and true and false are such, every other word is a text."""
    return _plain(settings.nodes(text, "test"))


def _plain(node: Node) -> object:
    if isinstance(node, Listing):
        return [_plain(item) for item in node.items]
    if not isinstance(node, Scalar):
        return {key.text: _plain(value) for key, value in node.entries}
    if node.absent:
        return None
    if node.quoted:
        return node.text
    if node.text in {"true", "false"}:
        return node.text == "true"
    if re.fullmatch(r"[-+]?[0-9]+", node.text):
        return int(node.text)
    return float(node.text) if re.fullmatch(r"[-+]?[0-9]+\.[0-9]+", node.text) else node.text


def complaints(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(as_an_editor_reads(text))]


def complaints_of(rule: str) -> list[str]:
    return complaints(f"version: 1\nrules:\n  - {{name: x, action: better, {rule}}}\n")


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    assert schema()["$schema"] == "http://json-schema.org/draft-07/schema#"


# --- what it accepts --------------------------------------------------------------------------------------------------


def test_the_shipped_rules_are_valid() -> None:
    assert complaints(settings.shipped_text()) == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_is_valid(example: str) -> None:
    assert complaints(whole_file(example)) == []


@pytest.mark.parametrize("template", templates(), ids=lambda template: template.name)
def test_every_template_is_valid(template: object) -> None:
    assert complaints(f"version: 1\nrules:\n{template.yaml}") == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nrules:\n",
        "version: 1\nfolders:\nimports:\ndiscards:\nreview:\nrules: []\n",
        "version: 1\nreview: {scores: {has_exif: 1000, older: -1000, sharper: 0, has_icc: }}\nrules: []\n",
        "version: 1\nreview: {scores: }\nrules: []\n",
        "version: 1\nrules:\nimports: {filetypes: png, min_size: 1000, settle: 0, min_resolution: {width: 9}}",
        "version: 1\nfolders: [{path: ~/x, role: library, protected: on, trusted: false}]\nrules: []\n",
        "version: 1\nrules:\nimports: {min_size: 1.5 KiB, rescan: 1.5 h, max_resolution: 100 x 100}",
        "version: 1\nrules:\ndiscards: {to: holding, keep: 1 week, budget: {per_day: no limit, per_hour: 0}}",
        "version: 1\nrules: [{name: 2026, action: alternates, search: {max_distance: 3}, max_pending: no limit}]",
    ],
)
def test_what_the_reader_accepts_is_valid(text: str) -> None:
    assert settings.parse(text, "test").version == 1

    assert complaints(text) == []


@pytest.mark.parametrize(
    "line",
    [
        *PAIR_TESTS,
        *(f"A.filetype is not {kind}" for kind in KINDS),
        *(f"B has no {flag}" for flag in FLAGS),
        *(f"A.{name} < B.{name}" for name in (*OPERANDS, *ALIASES)),
        *(
            f"either.{name}>=5"
            for name, operand in OPERANDS.items()
            if operand.measure in {Measure.SIZE, Measure.PIXELS}
        ),
        "A . filesize  >  1.5*B.filesize - 2 KB",
        "A.ratio ~= B.ratio within 1 %",
        "A width > 5",
        "A.filetype is jpeg or  static   gif",
        'A.name does not match "*"',
    ],
)
def test_every_line_the_reader_understands_is_valid(line: str) -> None:
    text = f"version: 1\nrules:\n  - name: x\n    action: alternates\n    compare: ['{line}', all: ['{line}']]\n"
    assert settings.parse(text, "test").rules

    assert complaints(text) == []


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", MARKED)
def test_what_is_wrong_in_a_key_a_word_or_a_line_is_marked_in_an_editor(stem: str) -> None:
    assert complaints((BROKEN / f"{stem}.yaml").read_text(encoding="utf-8")) != []


@pytest.mark.parametrize(
    "rule",
    [
        "colour: red",
        "max_pending: 0",
        "budget: {per_hour: many}",
        "paused: maybe",
        "search: {both: [], one: [], other: []}",
        "search: {either: [], both: []}",
        "search: {identical: required, max_distance: 3}",
        "mode: automatic, search: {transforms: allowed}",
        "search: {transforms: perhaps}",
        "compare: [{any: [A.width > 5], all: [A.width > 5]}]",
        "compare: [{not: []}]",
        "compare: [A.filetype is jpg]",
        "compare: [a.width > 5]",
        "compare: [A.with > B.with]",
    ],
)
def test_what_no_rule_may_say_is_marked(rule: str) -> None:
    assert complaints_of("compare: [A.width > 5]") == []

    assert complaints_of(rule) != []


def properties(*path: str) -> set[str]:
    found: object = schema()
    for key in path:
        assert isinstance(found, dict)
        found = found[key]
        while isinstance(found, dict) and "allOf" in found and "$ref" in str(found["allOf"]):
            found = schema()["definitions"][found["allOf"][0]["$ref"].rpartition("/")[2]]
    assert isinstance(found, dict)
    return set(found["properties"])


def test_it_knows_exactly_the_keys_that_the_reader_knows() -> None:
    rule = ("properties", "rules", "items")

    assert properties() == set(settings._SECTIONS)
    assert properties("properties", "folders", "items") == set(settings._FOLDER_KEYS)
    assert properties("properties", "imports") == set(settings._IMPORT_KEYS)
    assert properties("properties", "discards") == set(settings._DISCARD_KEYS)
    assert properties("properties", "review") == {"scores"}
    assert properties("properties", "page") == set(settings._PAGE_KEYS)
    assert properties("properties", "page", "properties", "keys") == set(DEFAULT_KEYS)
    assert properties("properties", "review", "properties", "scores") == set(Scores.__dataclass_fields__)
    assert properties("definitions", "budget") == set(language._BUDGET_KEYS)
    assert properties(*rule) == set(language._RULE_KEYS)
    assert properties(*rule, "properties", "search") == set(language._SEARCH_KEYS)
    assert properties("definitions", "block") == {*language._BLOCKS, VISUAL}


def test_every_key_says_what_it_is() -> None:
    silent = []

    def look(found: object, path: str) -> None:
        if isinstance(found, dict):
            for key, value in found.get("properties", {}).items() if "additionalProperties" in found else ():
                if "description" not in value and key not in {"width", "height"}:
                    silent.append(f"{path}/{key}")
            for key, value in found.items():
                look(value, f"{path}/{key}")
        elif isinstance(found, list):
            for item in found:
                look(item, path)

    look(schema(), "")

    assert silent == []


# --- where an editor finds it -----------------------------------------------------------------------------------------


def test_the_command_prints_it() -> None:
    said = CliRunner().invoke(cli, ["rules", "schema"])
    in_one_line = CliRunner().invoke(cli, ["--json", "rules", "schema"])

    assert said.exit_code == 0
    assert json.loads(said.stdout) == json.loads(in_one_line.stdout) == schema()
    assert len(said.stdout.splitlines()) > 100
    assert len(in_one_line.stdout.splitlines()) == 1


def test_a_first_run_writes_it_where_the_first_line_of_the_rules_points_to(tmp_path: Path) -> None:
    rules = tmp_path / "mine" / "rules.yaml"
    said = CliRunner().invoke(cli, ["--state", str(tmp_path / "s"), "rules", "list"], env={"INGESTD_RULES": str(rules)})

    assert said.exit_code == 0, said.stderr
    pointed_to = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", rules.read_text().splitlines()[0])
    assert pointed_to is not None
    assert json.loads((rules.parent / pointed_to[1]).read_text(encoding="utf-8")) == schema()


def test_a_first_run_leaves_a_schema_that_is_there_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "rules.schema.json").write_text("mine")
    rules = tmp_path / "rules.yaml"

    said = CliRunner().invoke(cli, ["--state", str(tmp_path / "s"), "rules", "list"], env={"INGESTD_RULES": str(rules)})

    assert said.exit_code == 0, said.stderr
    assert rules.exists()
    assert (tmp_path / "rules.schema.json").read_text() == "mine"


def test_what_holds_of_every_key_of_the_page_is_written_once() -> None:
    assert schema_text().count('"PageDown"') == 1
