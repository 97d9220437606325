"""The home folder: its lock, its secrets, its ports; and the small decisions of the commands."""

import os
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifeline.cli.children import LOG_LIMIT_BYTES, SYSTEM_VARIABLES, Child, cut_log, end, environment
from lifeline.cli.demo import HISTORY_DAYS, missing_days
from lifeline.cli.home import Home, Running, home_of, running_home
from lifeline.cli.sensors import age
from lifeline.errors import ConfigurationError
from lifeline.settings import Settings
from lifeline.storage.endpoints import check_url
from lifeline.storage.roles import dsn_as, place_of
from tests.ports import free_port

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
RUNNING = Running(7, "postgresql://x", "127.0.0.1", 1883, True, True, "http://127.0.0.1:8080/")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    return made


def test_a_home_that_is_held_says_by_whom_and_keeps_a_second_out(home: Home) -> None:
    assert home.holder() is None
    with home.claimed():
        assert home.holder() == os.getpid()
        with pytest.raises(ConfigurationError, match=rf"already \(process {os.getpid()}\)"), home.claimed():
            pass
        assert home.holder() == os.getpid()
    assert home.holder() is None


def test_a_holder_that_was_killed_holds_nothing(home: Home) -> None:
    code = (
        "import os, pathlib, sys; from lifeline.cli.home import Home\n"
        "with Home(pathlib.Path(sys.argv[1])).claimed(): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, home.path], check=False).returncode == -9
    assert home.holder() is None
    with home.claimed():
        assert home.running() is None


def test_what_runs_is_told_while_it_runs_and_to_its_user_alone(home: Home) -> None:
    home.tell(RUNNING)
    assert home.running() is None  # nobody holds the home
    with home.claimed():
        home.tell(RUNNING)
        assert home.running() == RUNNING
        assert stat.S_IMODE((home.path / "running.json").stat().st_mode) == 0o600
    assert home.running() is None


def test_the_demo_below_a_home_is_found_when_the_home_is_idle(home: Home) -> None:
    assert running_home(home) is None
    with home.demo.claimed():
        found = running_home(home)
        assert found is not None
        assert found.path == home.path / "demo"


def test_a_secret_is_random_made_once_and_private(home: Home) -> None:
    one, other = home.secret("one").read_text(), home.secret("other").read_text()
    assert one != other
    assert len(one) >= 32
    assert home.secret("one").read_text() == one
    assert stat.S_IMODE(home.secret("one").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.secrets.stat().st_mode) == 0o700


def test_mqtt_users_are_the_files_of_their_folder(home: Home) -> None:
    assert home.mqtt_users() == {}
    for name in ("ingest", "rtu-1"):
        home.secret(f"mqtt/{name}")
    (home.secrets / "mqtt" / ".rtu-2.new").write_text("half written")
    assert set(home.mqtt_users()) == {"ingest", "rtu-1"}


def test_a_port_that_is_taken_gives_the_next_free_one_which_is_kept(home: Home) -> None:
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        found = home.port("api", port, insist=False)
        assert port < found < port + 200
        assert Home(home.path).port("api", port, insist=False) == found
        assert home.port("metrics", port, insist=False) not in (port, found)  # promised, though nobody has bound it
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            home.port("api", port, insist=True)
    assert Home(home.path).port("api", port, insist=False) == port


PROMISE = """import sys; from pathlib import Path; from lifeline.cli.home import Home
print(Home(Path(sys.argv[1])).port("metrics", int(sys.argv[2]), insist=False), flush=True); sys.stdin.read()"""


def test_a_port_that_another_lifeline_has_chosen_and_nobody_has_bound_yet_is_not_chosen_again(tmp_path: Path) -> None:
    port = free_port()
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir(), theirs.mkdir()
    command = [sys.executable, "-c", PROMISE, str(theirs), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert int(other.stdout.readline()) == port
        assert Home(ours).port("metrics", port, insist=False) != port
        other.communicate()
    assert Home(ours).port("metrics", port, insist=False) == port, "a promise ends with its process"


def test_starting_over_removes_everything_but_the_lock(home: Home) -> None:
    home.secret("mqtt/ingest")
    (home.path / "truth.jsonl").write_text("{}")
    with home.claimed():
        home.remove()
    assert [path.name for path in home.path.iterdir()] == ["lock"]


def test_a_home_that_cannot_be_made_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="LIFELINE_HOME or --home"):
        Home(tmp_path / "file" / "home").make()


def test_the_home_is_the_one_that_is_named_then_the_setting_then_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert home_of(Settings(home=Path("/a")), Path("/b")).path == Path("/b")
    assert home_of(Settings(home=Path("/a"))).path == Path("/a")
    assert home_of(Settings()).path == tmp_path / "lifeline"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert home_of(Settings()).path == Path("/var/lib/lifeline")


def test_a_child_inherits_settings_and_nobodys_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "LIFELINE_DATABASE_URL",
        "LIFELINE_MQTT_PASSWORD",
        "LIFELINE_MQTT_PASSWORD_FILE",
        "AWS_SECRET",
        "DATABASE_PASSWORD",
    ):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("LIFELINE_LOG_LEVEL", "debug")
    monkeypatch.setenv("LIFELINE_MQTT_USERNAME", "owner")
    given = environment({"LIFELINE_DATABASE_URL_FILE": "/its/own"})
    assert given["LIFELINE_LOG_LEVEL"] == "debug"
    assert given["LIFELINE_DATABASE_URL_FILE"] == "/its/own"
    assert "secret" not in given.values()
    assert "LIFELINE_MQTT_USERNAME" not in given
    assert {name for name in given if not name.startswith("LIFELINE_")} <= SYSTEM_VARIABLES


def test_a_child_that_ends_is_started_again_after_a_wait_and_ends_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifeline.cli.children.BACK_OFF_S", (0.05,))
    child = Child("site", ["site", "--help-me"], {}, tmp_path / "site.log")
    child.start()
    while child.restarts < 2:
        child.look_after()
    assert "usage" in (tmp_path / "site.log").read_text().lower() or (tmp_path / "site.log").stat().st_size > 0
    end([child], 1)
    assert not child.alive


def test_a_child_that_may_end_is_left_alone_when_it_has_ended_well(tmp_path: Path) -> None:
    child = Child("this", ["this"], {}, tmp_path / "this.log", once=True)
    child.start()
    while child.alive:
        pass
    child.look_after()
    assert child.finished
    assert child.restarts == 0


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)\n"
    )
    log = tmp_path / "stubborn.log"
    child = Child("stubborn", ["stubborn"], {"PYTHONPATH": str(tmp_path)}, log)
    child.start()
    while "up" not in log.read_text():
        assert child.alive, log.read_text()
    end([child], 0.2)
    assert not child.alive


def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "ingest.log"
    log.write_bytes(b"x" * 10)
    cut_log(log)
    assert log.stat().st_size == 10
    with log.open("ab") as file:
        file.truncate(LOG_LIMIT_BYTES + 1)
        cut_log(log)
        file.write(b"new")
    assert log.read_bytes() == b"new"
    assert (tmp_path / "ingest.old").stat().st_size == LOG_LIMIT_BYTES + 1


@pytest.mark.parametrize(
    ("last", "days"),
    [(None, HISTORY_DAYS), (NOW, 0.0), (NOW + timedelta(hours=1), 0.0), (NOW - timedelta(hours=12), 0.5),
     (NOW - timedelta(days=30), HISTORY_DAYS)],
)  # fmt: skip
def test_the_demo_writes_the_history_that_is_missing(last: datetime | None, days: float) -> None:
    assert missing_days(last, NOW) == days


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "3 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h"), (200_000, "2 d")]
)
def test_ages_are_told_in_the_unit_that_makes_sense(seconds: float, words: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == words
    assert age(None, NOW) == "never"


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "example.org", "https://", "https://user:word@example.org/", "http://a b/", "http://a:x/",
     "https://example.org/#part", "http://[::1", ""],
)  # fmt: skip
def test_a_url_that_cannot_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        check_url(url)


@pytest.mark.parametrize("url", ["https://example.org/hook?x=1", "http://127.0.0.1:8000", "https://[::1]:9/"])
def test_a_url_that_can_be_posted_to_is_taken(url: str) -> None:
    check_url(url)


def test_another_log_in_to_the_same_database_keeps_the_rest() -> None:
    dsn = dsn_as("postgresql://lifeline:owner@db:5433/city?sslmode=require", "lifeline_api", "it's")
    assert place_of(dsn) == "db:5433/city"
    assert "owner" not in dsn
    assert "sslmode=require" in dsn
    with pytest.raises(ConfigurationError, match="LIFELINE_DATABASE_URL"):
        dsn_as("no dsn at all", "lifeline_api", "x")
