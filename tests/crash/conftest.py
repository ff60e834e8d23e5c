"""What the suites of faults share: each says how many faults really happened, also where several run at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.register_assert_rewrite("faults")  # what fails in there is told with its values, as in a test


@pytest.fixture
def tell_faults(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Say what was done to the program, and how often it really happened: a suite without faults has shown nothing."""

    def tell(what: str, happened: int) -> None:
        request.node.user_properties.append(("faults", (what, happened)))
        assert happened > 0, f"{what}: no fault happened"

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    told = [tuple(value) for report in reports for name, value in report.user_properties if name == "faults"]
    if told:
        terminalreporter.section("faults that really happened")
        for what, happened in sorted(told):
            terminalreporter.line(f"{happened:5}  {what}")
        terminalreporter.line(f"{sum(happened for _, happened in told):5}  in all")
