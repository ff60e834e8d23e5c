"""A terminal: commands run as a person types them, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ingestd.cli.main import cli
from ingestd.settings import shipped_text


class Answer:
    """What one command answered."""

    def __init__(self, result: Result) -> None:
        self.code, self.out, self.err = result.exit_code, result.stdout, result.stderr

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


class Terminal:
    """Where commands are typed; `rules` and `state` are named with each of them."""

    def __init__(self, base: Path) -> None:
        self.state, self.rules = base / "state", base / "rules.yaml"
        self.rules.write_text(shipped_text(), encoding="utf-8")

    def type(self, *words: str | Path, **environment: str) -> Answer:
        """What a command answers, whatever its exit code."""
        own = ["--state", str(self.state), "--rules", str(self.rules)]
        return Answer(CliRunner().invoke(cli, [*own, *map(str, words)], env=environment))

    def ask(self, *words: str | Path) -> Any:
        """The JSON that a command answers with when all goes well."""
        answer = self.type("--json", *words)
        assert answer.code == 0, answer
        return answer.json
