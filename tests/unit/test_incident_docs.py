"""docs/reference/incidents.md says what the code does."""

import re
from pathlib import Path

import pytest

from alerts.causes import UNEXPLAINED, Beside, Cause, Match, Sign, load_causes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "incidents.md").read_text(encoding="utf-8")


def seconds(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"min": 60, "h": 3600}[unit]


@pytest.mark.parametrize("cause", load_causes(), ids=lambda cause: cause.id)
def test_every_cause_stands_in_the_reference_with_its_reach(cause: Cause) -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{cause.id}` |")]
    title, within, apart, joined, hops, along = (cell.strip() for cell in line.split("|")[2:8])
    assert title == cause.title.zh
    assert seconds(within) == cause.within_s
    assert apart == f"{cause.apart_m:g} m"
    assert joined == (f"{cause.joined_m:g} m" if cause.joined_m else "-")
    assert hops == (str(cause.hops) if cause.hops else "-")
    assert along == (cause.along or "-")


@pytest.mark.parametrize("kind", [Cause, Sign, Match, Beside], ids=lambda kind: kind.__name__)
def test_every_key_of_the_file_is_described(kind: type) -> None:
    assert {name for name in kind.__struct_fields__ if f"`{name}" not in PAGE} == set()  # type: ignore[attr-defined]


def test_every_action_of_the_history_is_described() -> None:
    schema = (ROOT / "lifeline" / "storage" / "migrations" / "0004_incidents.sql").read_text(encoding="utf-8")
    found = re.search(r"action text NOT NULL CHECK \(action IN\s*\(([^)]*)\)", schema)
    assert found is not None
    actions = re.findall(r"'(\w+)'", found[1])
    assert len(actions) == 8
    assert [action for action in actions if f"`{action}`" not in PAGE] == []


def test_what_an_unexplained_alert_costs_is_told_as_it_is() -> None:
    assert f"less {UNEXPLAINED:g} times the share" in PAGE
