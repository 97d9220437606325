"""`lifeline load` as a user runs it: the broker and the database are killed, and every reading is there once."""

import re

import pytest

from tests.acceptance.commands import lifeline

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("programs")]


def test_nothing_is_lost_or_doubled_when_broker_and_database_are_killed() -> None:
    done = lifeline(
        "load", "--sensors", "2000", "--rate", "3000", "--seconds", "9", "--ramp", "2", "--outage", "2",
        "--kill-broker", "--kill-database", timeout=240,
    )  # fmt: skip
    text = done.stdout
    assert "every reading is there, once" in text
    sent = int(re.search(r"sent +([\d,]+) readings", text)[1].replace(",", ""))  # type: ignore[index]
    assert sent == pytest.approx(3000 * 8, rel=0.01)
    assert re.search(rf"stored +{sent:,} \(\+0\)", text)
    assert "sum of values" in text
    assert "as sent" in text
    for part in ("database", "broker", "ingest", "publisher"):
        assert re.search(rf"CPU of {part} +\d", text), part


def test_nothing_is_lost_or_doubled_when_a_broker_with_snapshots_is_restarted_and_the_database_killed() -> None:
    done = lifeline(
        "load", "--sensors", "3000", "--per-message", "1", "--rate", "6000", "--seconds", "4",
        "--snapshots", "--restart-broker", "--kill-database", timeout=240,
    )  # fmt: skip
    text = done.stdout
    assert done.returncode == 0, text + done.stderr
    assert "every reading is there, once" in text
    assert re.search(r"stored +24,000 \(\+0\)", text)
    assert re.search(r"interrupted +broker stopped in order after 1\.\d s, back \d", text)
    assert re.search(r"interrupted +database killed \(SIGKILL\) after \d\.\d s, back \d", text)


def test_an_outage_longer_than_the_load_is_refused() -> None:
    done = lifeline("load", "--seconds", "5", "--outage", "9")
    assert done.returncode == 2
    assert "must fit into --seconds" in done.stderr
