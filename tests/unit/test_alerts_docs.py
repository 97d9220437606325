"""The pages about alerts say what the code does."""

import re
from pathlib import Path
from typing import get_args

import pytest

from alerts import rules
from alerts.retry import FAST
from lifeline.catalogue import shipped_catalogue
from lifeline.lifecycle import Event, step
from lifeline.model import AlertState

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
RULES = rules.load_rules(shipped_catalogue(), 3600)


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_stands_in_the_reference_with_its_limits(rule: rules.Rule) -> None:
    (line,) = [line for line in page("rules.md").splitlines() if line.startswith(f"| `{rule.id}` |")]
    levels = line.split("|")[3].partition(", that is")[0].partition(":")[0]
    if isinstance(rule, rules.Silence):
        assert levels.strip() == rule.level
        return
    assert isinstance(rule, rules.Ladder | rules.Scored)
    told = [part.strip() for part in re.sub(r"[a-zA-Z%].*", "", levels).split("/")]
    slugs = ("blue", "yellow", "orange", "red")
    assert [float(one) if one != "-" else None for one in told] == [rule.limits.get(slug) for slug in slugs]


def test_no_rule_is_told_that_does_not_ship() -> None:
    told = set(re.findall(r"^\| `([a-z0-9_]+\.[a-z_]+)` \|", page("rules.md"), re.MULTILINE))
    assert told == {rule.id for rule in RULES}


def test_every_key_of_a_rule_stands_in_the_reference() -> None:
    keys = {"detector"} | {key for kind in get_args(rules.AnyRule) for key in kind.__struct_fields__}
    assert {key for key in keys if f"`{key}`" not in page("rules.md")} == set()


def test_every_state_step_and_message_stands_in_the_reference() -> None:
    life, hooks = page("alerts.md"), page("webhooks.md")
    for state in AlertState:
        assert f"`{state}`" in life
        for active in (True, False):
            for event in Event:
                taken = step(state, active, event)
                if taken and taken.message:
                    assert f"`{taken.message}`" in life
                    assert f"| `{taken.message}` |" in hooks


def test_the_fast_phase_is_told_as_it_is() -> None:
    assert f"| red | {', '.join(map(str, FAST))}, then" in page("webhooks.md")
