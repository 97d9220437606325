"""Rules as data: what ships is sound, and a mistake is told with the rule's name."""

from pathlib import Path

import pytest

from alerts.detection import DETECTORS
from alerts.rules import Threshold, clearing_within, load_rules, parse_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import CatalogueError
from lifeline.model import AlertKind

CATALOGUE = shipped_catalogue()
GOOD = """[[rule]]
id = "methane"
detector = "threshold"
kind = "risk"
quantity = "methane"
networks = ["gas"]
limits = { blue = 0.25, red = 2.5 }
deadband = 0.05
off_delay_s = 60
title = { en = "Methane", zh = "甲烷" }
advice = { en = "Leave", zh = "撤离" }
"""


def test_what_ships_is_sound_and_covers_every_network() -> None:
    rules = load_rules(CATALOGUE, 3600)
    assert {rule.detector for rule in rules} == DETECTORS.keys()
    assert {network for rule in rules for network in rule.networks} == {"gas", "water", "drainage"}
    assert len({rule.version for rule in rules}) == len(rules)


def test_a_demo_clears_alerts_sooner_and_changes_nothing_else_of_a_rule() -> None:
    rules = load_rules(CATALOGUE, 3600)
    quick = clearing_within(rules, 60)
    assert [rule.off_delay_s for rule in quick] == [min(rule.off_delay_s, 60) for rule in rules]
    assert max(rule.off_delay_s for rule in rules) > 60
    for rule, other in zip(rules, quick, strict=True):
        assert rule.content() | {"off_delay_s": 0} == other.content() | {"off_delay_s": 0}
        assert (rule.version == other.version) is (rule.off_delay_s <= 60)
    assert clearing_within(rules, None) == rules


def test_the_methane_ladder_is_that_of_the_lower_explosive_limit() -> None:
    (methane,) = [rule for rule in load_rules(CATALOGUE, 3600) if rule.id == "methane.level"]
    assert isinstance(methane, Threshold)
    assert methane.percent_of == 5.0
    assert methane.limits == {"blue": 5, "yellow": 10, "orange": 20, "red": 50}


def test_silence_and_battery_are_never_risk() -> None:
    rules = load_rules(CATALOGUE, 3600)
    assert {rule.kind for rule in rules if rule.detector == "silence" or rule.id == "battery.low"} == {
        AlertKind.MAINTENANCE
    }


def test_the_version_of_a_rule_changes_with_anything_in_it_and_with_nothing_else() -> None:
    (one,) = parse_rules(GOOD, CATALOGUE, 3600)
    (same,) = parse_rules("# remark\n" + GOOD, CATALOGUE, 3600)
    (other,) = parse_rules(GOOD.replace("0.05", "0.06"), CATALOGUE, 3600)
    assert one.version == same.version != other.version


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('quantity = "methane"', 'quantity = "radon"', "unknown quantity 'radon'"),
        ('networks = ["gas"]', 'networks = ["heat"]', "unknown network 'heat'"),
        ('networks = ["gas"]', 'networks = ["water"]', r"methane is not measured in \['water'\]"),
        ("red = 2.5", "red = 0.1", r"the limit of red \(0.1\) must lie above that of blue \(0.25\)"),
        ("red = 2.5", 'red = "high"', r"Expected `float`, got `str` - at `\$.limits\[...\]`"),
        ("red = 2.5", "purple = 2.5", "Invalid enum value 'purple'"),
        ("{ blue = 0.25, red = 2.5 }", "{}", "limits are missing"),
        ("deadband = 0.05", "deadband = -1", "deadband is below zero"),
        ("deadband = 0.05", "dead_band = 1", "unknown field `dead_band`"),
        ("off_delay_s = 60", "off_delay_s = -60", "a delay is below zero"),
        ("off_delay_s = 60", "off_delay_s = 6000", "must fit into half of the window of 3600 s"),
        ('zh = "甲烷"', 'zh = ""', "title and advice are needed in en and zh"),
        ('detector = "threshold"', 'detector = "oracle"', "Invalid value 'oracle'"),
        ('detector = "threshold"', 'detector = "rate"\nspan_s = 0', "span_s must be above zero"),
        ("deadband = 0.05", "deadband = 0.05\npercent_of = -5.0", "percent_of must be above zero"),
        ("[[rule]]", "[rule]", r"rules stand under \[\[rule\]\]"),
        ("[[rule]]", "[[rule", "not TOML"),
        ('kind = "risk"', 'kind = "fun"', "Invalid enum value 'fun'"),
    ],
)
def test_a_mistake_is_told(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(CatalogueError, match=message):
        parse_rules(GOOD.replace(old, new), CATALOGUE, 3600, "mine.toml")


def test_every_mistake_is_told_at_once_with_the_name_of_its_rule() -> None:
    text = GOOD.replace("red = 2.5", "red = 0.1") + GOOD.replace('"methane"\ndet', '"second"\ndet').replace(
        "0.05", "-1"
    )
    with pytest.raises(CatalogueError) as caught:
        parse_rules(text + GOOD, CATALOGUE, 3600, "mine.toml")
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "rule 'methane'",
        "rule 'second'",
        "rule 'methane'",
    ]


def test_a_file_may_replace_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(CatalogueError, match="No such file"):
        load_rules(CATALOGUE, 3600, path)
    path.write_text(GOOD, encoding="utf-8")
    assert [rule.id for rule in load_rules(CATALOGUE, 3600, path)] == ["methane"]
