"""The page about response says what the code does, and names what to do for every rule."""

import re
from pathlib import Path

import pytest

from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.chat import CHANNELS
from lifeline.messages import FORMATS
from lifeline.messages.words import STEPS, TYPES
from lifeline.model import Level
from lifeline.response import NEXT, Step, load_deadlines

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "response.md").read_text(encoding="utf-8")
HOOKS = (REFERENCE / "webhooks.md").read_text(encoding="utf-8")
SECONDS = {"min": 60, "h": 3600}


@pytest.mark.parametrize("step", Step)
def test_every_step_stands_with_its_next_ones_and_its_deadlines(step: Step) -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{step}` |")]
    _, _, name, leads_to, due, _ = (part.strip() for part in line.split("|"))
    assert name == STEPS[step]["zh"]
    assert tuple(re.findall(r"`(\w+)`", leads_to)) == NEXT[step]
    told = [] if due == "-" else [int(n) * SECONDS[unit] for n, unit in re.findall(r"(\d+) (min|h)", due)]
    deadlines = load_deadlines()
    assert told == [deadlines[step, level] for level in Level if (step, level) in deadlines]


def test_every_rule_has_steps_of_response() -> None:
    rules = {rule.id for rule in load_rules(shipped_catalogue(), 3600)}
    told = {
        rule for line in re.findall(r"^Rules: (.*)$", PAGE, re.MULTILINE) for rule in re.findall(r"`([^`]+)`", line)
    }
    assert rules - told == set()


def test_steps_are_in_both_languages_and_fit_a_phone() -> None:
    steps = re.findall(r"^\d\. (.*)$", PAGE, re.MULTILINE)
    assert len(steps) > 30
    for step in steps:
        assert re.search("[一-鿿]", step), step
        assert re.search("[a-z]{3}", step), step
        assert len(step) <= 220, step


def test_every_type_of_message_has_words_and_stands_in_the_reference() -> None:
    assert {name for name in TYPES if f"| `{name}` |" not in HOOKS} == set()
    told = set(re.findall(r"^\| `((?:alert|incident|response|sensor|endpoint)\.\w+)` \|", HOOKS, re.MULTILINE))
    assert told == set(TYPES)


def test_every_format_and_channel_stands_in_the_reference() -> None:
    assert {name for name in (*FORMATS, "chat") if f"| `{name}` |" not in HOOKS} == set()
    assert {name for name in CHANNELS if f"`{name}://" not in HOOKS} == set()
