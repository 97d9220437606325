"""`lifeline rules` against the real database; `alerts` judges by its own code in between."""

import re

import pytest

from alerts import review
from alerts.rules import load_rules
from lifeline.catalogue import shipped_catalogue
from lifeline.storage import rulebook
from lifeline.storage.database import Connection
from tests.integration.city import NOON, add_asset, add_device, add_sensor, count
from tests.integration.in_process import lifeline

pytestmark = pytest.mark.usefixtures("clean_database")

RULES = load_rules(shipped_catalogue(), 3600.0)
RULE = "methane.level"
LIMITS = ("--limit", "yellow=2", "--limit", "orange=2.6", "--limit", "red=3")


class Town:
    """A chamber K-7 with a methane sensor, and the rules that ship; commands, and the judgement of `alerts`."""

    def __init__(self, connection: Connection, dsn: str, home: str) -> None:
        self.connection, self._place = connection, {"LIFELINE_DATABASE_URL": dsn, "LIFELINE_HOME": home}
        device = add_device(connection, "rtu-1")
        self.sensor = add_sensor(connection, device, "methane", asset=add_asset(connection, "K-7"))
        rulebook.publish(connection, review.lines(RULES, NOON))
        connection.execute(
            """INSERT INTO reading (sensor_id, ts, value)
            SELECT %s, now() - make_interval(mins => m), CASE WHEN m %% 60 < 10 THEN 1.2 ELSE 0.1 END
            FROM generate_series(1, 720) m""",
            [self.sensor],
        )
        connection.commit()

    def run(self, *words: str) -> str:
        done = lifeline("rules", *words, **self._place)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str, status: int = 1) -> str:
        done = lifeline("rules", *words, **self._place)
        assert done.returncode == status, done.stdout
        return re.sub(r"[\s│]+", " ", done.stderr)

    def judge(self, number: int) -> None:
        asked = rulebook.proposal(self.connection, number)
        rules = {rule.id: rule for rule in RULES}
        effect = review.evaluate(self.connection, rules, shipped_catalogue(), 3600.0, asked, asked.proposed_at)
        rulebook.answer(self.connection, number, effect, asked.proposed_at)
        self.connection.commit()


@pytest.fixture
def town(connection: Connection, clean_database: str, tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(connection, clean_database, str(tmp_path_factory.mktemp("home")))


def test_a_change_is_proposed_judged_accepted_and_taken_back_at_the_command_line(town: Town) -> None:
    said = town.run("propose", RULE, "asset", "K-7", *LIMITS, "--days", "1", "--note", "beside a digester")
    assert said.startswith("proposal 1 waits to be judged")
    assert "not judged yet" in town.run("list", "--proposals")
    assert "has not been evaluated yet" in town.refused("accept", "1")
    town.judge(1)
    (line,) = town.run("list", "--state", "evaluated").splitlines()[1:]
    assert re.search(r"methane\.level +asset K-7 +own +yellow 2, orange 2\.6, red 3", line)
    assert re.search(r"alerts \d+ -> 0 \(1 sensors\)", line)
    assert "beside a digester" in line
    assert town.run("accept", "1", "--note", "seen on site").startswith(
        "accepted 1: methane.level at asset K-7: yellow 2"
    )
    assert "is accepted already" in town.refused("reject", "1")
    (standing,) = town.run("overrides").splitlines()[1:]
    assert re.search(r"methane\.level +asset K-7 +yellow 2, orange 2\.6, red 3 .*seen on site", standing)
    town.run("propose", RULE, "asset", "K-7", "--remove")
    town.judge(2)
    assert "K-7: remove" in town.run("accept", "2")
    assert town.run("overrides", "--rule", RULE).splitlines()[1:] == []
    newest, first = town.run("overrides", "--changes").splitlines()[1:]
    assert re.search(r"asset K-7 +yellow 2, orange 2\.6, red 3 +own ", newest)
    assert re.search(r"asset K-7 +own +yellow 2, orange 2\.6, red 3 ", first)


def test_a_rejected_change_leaves_the_rule_as_it_is(town: Town) -> None:
    town.run("propose", RULE, "sensor", "rtu-1/methane", "--off")
    assert town.run("reject", "1", "--note", "too few labels") == "rejected 1\n"
    (line,) = town.run("list", "--state", "rejected").splitlines()[1:]
    assert re.search(r"sensor rtu-1/methane +own +off ", line)
    assert "too few labels" in line
    assert count(town.connection, "rule_override") == 0


def test_the_rules_in_force_are_listed_with_their_limits_and_both_titles(town: Town) -> None:
    listed = town.run("list").splitlines()
    assert len(listed) == len(RULES) + 1
    (line,) = town.run("list", "--rule", RULE).splitlines()[1:]
    assert re.search(r"methane\.level +risk +drainage, gas +threshold +blue \S+, yellow \S+, orange \S+, red \S+", line)
    assert re.search("[\u4e00-\u9fff]", line)
    assert "there is no rule 'none'" in town.refused("list", "--rule", "none")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((RULE, "asset", "K-9", "--off"), "there is no asset 'K-9'"),
        (("none", "asset", "K-7", "--off"), "there is no rule 'none'"),
        ((RULE, "asset", "K-7", "--limit", "purple=1"), "LEVEL=NUMBER, of blue, yellow, orange, red"),
        ((RULE, "asset", "K-7", "--limit", "red=nan"), "the limit of red must be a number"),
        ((RULE, "asset", "K-7", "--limit", "red=1", "--limit", "yellow=2"), "must lie above"),
        ((RULE, "asset", "K-7", "--remove"), "that is how it is already"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(town: Town, words: tuple[str, ...], said: str) -> None:
    assert said in town.refused("propose", *words)
    assert count(town.connection, "rule_proposal") == 0


def test_wrong_usage_of_rules_is_status_two(town: Town) -> None:
    assert "either --limit, --off or --remove" in town.refused("propose", RULE, "asset", "K-7", status=2)
    town.refused("propose", RULE, "asset", "K-7", "--off", "--remove", status=2)
    town.refused("propose", RULE, "planet", "earth", "--off", status=2)
    assert "no proposal 7" in town.refused("accept", "7")
