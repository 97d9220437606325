"""The commands without a database and a broker: what they refuse, where they look, what they print."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from lifeline import cli
from lifeline.cli import checks, endpoints, schema
from lifeline.cli.address import Place, find
from lifeline.cli.home import Home, Running
from lifeline.cli.up import RELOAD
from lifeline.embedded.passwords import password_file
from lifeline.errors import ConfigurationError, LifelineError
from lifeline.settings import Settings
from lifeline.storage.roles import ROLES

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("LIFELINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIFELINE_HOME", str(tmp_path / "home"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def running(home: Home, *, own_broker: bool = True, port: int = 1883) -> Running:
    """What a Lifeline on ``home`` says; this process stands in for it."""
    return Running(os.getpid(), "postgresql://owner@/own", "127.0.0.1", port, True, own_broker, "http://page/")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


# --- the table of commands


def test_every_command_stands_in_the_module_that_the_table_names() -> None:
    group = typer.main.get_command(cli.app)
    assert list(group.commands) == list(cli.MODULES)  # type: ignore[attr-defined]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.name == name
        functions = [each.callback for each in getattr(command, "commands", {"": command}).values()]
        assert f"lifeline.cli.{cli.MODULES[name]}" in {function.__module__ for function in functions}


def test_every_module_with_commands_stands_in_the_table() -> None:
    """`suggestions` adds to the group of zones."""
    named = set(cli.MODULES.values()) | {"suggestions"}
    for path in Path(cli.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ("def register(" in text or "app = typer.Typer(" in text) == (path.stem in named | {"__init__"}), path


def test_a_command_brings_nothing_along_that_it_has_no_use_for() -> None:
    """A start that loads everything takes twice the time; scripts start `lifeline` often."""
    program = (
        "import sys, typer\nfrom lifeline.cli import app\n"
        "commands = typer.main.get_command(app).commands\n"
        "commands['endpoints']\n"
        "print([name for name in ('numpy', 'shapely', 'paho', 'fastapi') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"


def test_a_name_that_is_no_command_is_refused_with_the_nearest_one() -> None:
    refused = run("endpoint", "list")
    assert refused.exit_code == 2
    assert "endpoints" in refused.output
    assert "endpoint" not in typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


def test_the_help_lists_every_command_with_what_it_is_for() -> None:
    lines = [line.split() for line in run("--help").output.splitlines()]
    for name in cli.MODULES:
        assert any(name in line and len(line) > 4 for line in lines), name


def test_commands_can_be_added_and_taken_away_as_in_any_group() -> None:
    commands = cli.Commands()
    count = len(commands)
    commands["more"] = commands["keys"]
    assert (len(commands), commands["more"], "more" in commands) == (count + 1, commands["keys"], True)
    del commands["more"]
    assert (len(commands), commands.get("more")) == (count, None)


# --- refusals


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "add", "x", "--role", "king"),
        ("keys", "add", "x", "--days", "0"),
        ("keys", "add"),
        ("endpoints", "add", "crew", "https://example.org/", "--worst-of", "purple"),
        ("endpoints", "add", "crew", "https://example.org/", "--kind", "rumour"),
        ("migrate", "--role-passwords", "/no/such/folder"),
        ("import", "/no/such/file.geojson"),
        ("import",),
        ("demo", "--seed", "one"),
        ("sensors", "adopt"),
    ],
)
def test_wrong_usage_is_status_2_and_nothing_is_looked_for(arguments: tuple[str, ...]) -> None:
    found = run(*arguments)
    assert found.exit_code == 2
    assert "Usage:" in found.output


@pytest.mark.parametrize("group", ["keys", "sensors", "endpoints"])
def test_a_group_without_a_command_shows_what_it_can_do(group: str) -> None:
    assert "list" in run(group).output


@pytest.mark.parametrize(
    "arguments",
    [("keys", "list"), ("sensors", "silent"), ("endpoints", "disable", "x"), ("migrate", "--dry-run"), ("status",)],
)
def test_without_a_database_each_command_says_how_to_get_one(arguments: tuple[str, ...]) -> None:
    found = run(*arguments)
    assert isinstance(found.exception, ConfigurationError)
    assert "LIFELINE_DATABASE_URL is not set" in str(found.exception)


def test_unknown_networks_of_an_endpoint_are_all_named_before_a_database_is_needed() -> None:
    found = run("endpoints", "add", "x", "https://example.org/", "--network", "tram", "--network", "heat")
    assert isinstance(found.exception, ConfigurationError)
    assert str(found.exception) == "unknown network heat, tram"


def test_down_says_that_nothing_runs(home: Home) -> None:
    found = run("down", "--home", str(home.path))
    assert (found.exit_code, found.output) == (0, f"nothing runs on {home.path}\n")
    assert not home.path.exists()


def test_an_expected_error_is_one_line_and_status_1(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.argv", ["lifeline", "status"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("lifeline: no database")
    assert told.err.count("\n") == 1


def test_an_error_of_ours_is_not_hidden_behind_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()


# --- passwords of devices


def test_a_device_gets_another_password_each_time_and_the_broker_takes_the_last(home: Home) -> None:
    told = [dict(line.split(None, 1) for line in run("sensors", "password", "rtu-1").output.splitlines()) for _ in "ab"]
    assert told[0]["password"] != told[1]["password"]
    assert home.mqtt_users() == {"rtu-1": told[1]["password"]}
    assert told[1]["broker"].startswith("not running")
    assert stat.S_IMODE((home.secrets / "mqtt" / "rtu-1").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "device", ["ingest", "simulator", "../lock", "a/b", ".hidden", "", "a b", "rtu:1", "x" * 65, "甲"]
)
def test_what_no_broker_takes_for_a_device_gets_no_password_and_leaves_no_file(device: str, home: Home) -> None:
    found = run("sensors", "password", "--", device)
    assert isinstance(found.exception, ConfigurationError)
    assert home.mqtt_users() == {}


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9._:-]{1,20}", fullmatch=True))
def test_every_name_that_gets_a_password_is_one_that_the_broker_reads(device: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFELINE_MQTT_HOST", "broker.example")
        found = run("sensors", "password", "--", device)
    if found.exit_code == 0:
        assert found.output.splitlines()[-1].startswith(f"{device}:$7$")
        assert password_file({device: "x"}, iterations=1).count("\n") == 1
    else:
        assert isinstance(found.exception, LifelineError)


def test_a_running_lifeline_is_told_of_a_new_password(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("lifeline.cli.sensors.os.kill", lambda *arguments: told.append(arguments))
    with home.claimed():
        home.tell(running(home, port=12345))
        found = run("sensors", "password", "rtu-1")
    assert told == [(os.getpid(), RELOAD)]
    assert "broker    127.0.0.1:12345" in found.output


def test_a_running_lifeline_with_another_broker_is_left_alone_and_the_line_is_printed(home: Home) -> None:
    with home.claimed():
        home.tell(running(home, own_broker=False))
        found = run("sensors", "password", "rtu-1")
    assert found.output.splitlines()[-1].startswith("rtu-1:$7$")
    assert home.mqtt_users() == {}


# --- where things are


def test_the_configured_database_is_taken_before_the_one_that_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with home.claimed():
        home.tell(running(home))
        assert find(None).dsn == "postgresql://owner@/own"
        monkeypatch.setenv("LIFELINE_DATABASE_URL", "postgresql://owner@db/city")
        assert find(None).dsn == "postgresql://owner@db/city"


def test_the_demo_is_found_where_nothing_else_runs_and_the_home_comes_first(home: Home) -> None:
    with home.demo.claimed():
        home.demo.tell(running(home.demo))
        assert find(None).home.path == home.demo.path
        with home.claimed():
            assert find(None).home.path == home.path


def test_the_check_logs_in_as_ingest_at_the_own_broker_and_as_configured_elsewhere(home: Home) -> None:
    home.make()
    word = home.secret("mqtt/ingest").read_text()
    own = Place(Settings(mqtt_username="someone"), home, running(home))
    assert checks._broker_login(own) == ("127.0.0.1", 1883, "ingest", word)
    elsewhere = Place(Settings(mqtt_host="b", mqtt_port=8883, mqtt_username="u", mqtt_password="p"), home, None)
    assert checks._broker_login(elsewhere) == ("b", 8883, "u", "p")
    with pytest.raises(ConfigurationError, match="no broker"):
        checks._broker_login(Place(Settings(), home, None))


# --- checks


@pytest.fixture
def listening() -> Iterator[int]:
    """A port on which connections are taken and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_does_not_speak_mqtt_is_told_apart_from_one_that_is_closed(
    listening: int, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(checks, "CONNECT_S", 0.2)
    silent = Place(Settings(mqtt_host="127.0.0.1", mqtt_port=listening), home, None)
    assert not checks._result("broker", lambda: checks._broker(silent))
    assert (
        f"FAIL broker     127.0.0.1:{listening} takes connections and does not answer MQTT" in capsys.readouterr().out
    )
    closed = Place(Settings(mqtt_host="127.0.0.1", mqtt_port=9), home, None)
    assert not checks._result("broker", lambda: checks._broker(closed))
    assert "127.0.0.1:9 does not answer: Connection refused" in capsys.readouterr().out


def test_a_host_that_is_no_name_is_a_check_that_failed_and_no_crash(home: Home, capsys: Capture) -> None:
    nowhere = Place(Settings(mqtt_host="broker..example"), home, None)
    assert not checks._result("broker", lambda: checks._broker(nowhere))
    assert "FAIL broker     broker..example:1883 does not answer" in capsys.readouterr().out


def test_a_failed_check_is_one_line_however_many_its_message_has(capsys: Capture) -> None:
    def ask() -> str:
        raise checks.CheckError("first\n  second [bold]third[/bold]")

    assert not checks._result("clock", ask)
    assert capsys.readouterr().out == "FAIL clock      first second [bold]third[/bold]\n"


def test_the_disk_below_a_home_that_is_not_made_yet_is_checked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(Settings(), Home(home.path / "deep" / "down"), None)
    assert checks._disk(place).startswith(f"{home.path.parent}: ")
    monkeypatch.setattr(checks, "FREE_BYTES", 10**18)
    with pytest.raises(checks.CheckError, match="less than"):
        checks._disk(place)


# --- migrate


def passwords(folder: Path, **other: bytes) -> Path:
    for role in ROLES.values():
        (folder / role).write_bytes(other.get(role, f"{role} word\n".encode()))
    return folder


def test_role_passwords_are_the_stripped_contents_of_their_files(tmp_path: Path) -> None:
    assert schema._passwords(passwords(tmp_path)) == {role: f"{role} word" for role in ROLES.values()}


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_role_password_that_is_empty_or_no_text_is_named(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="lifeline_alerts"):
        schema._passwords(passwords(tmp_path, lifeline_alerts=content))


def test_a_role_password_that_is_missing_is_named(tmp_path: Path) -> None:
    passwords(tmp_path)
    (tmp_path / "lifeline_api").unlink()
    with pytest.raises(ConfigurationError, match="lifeline_api: No such file"):
        schema._passwords(tmp_path)


@pytest.mark.parametrize(
    ("host", "private"),
    [("10.0.0.1", True), ("127.0.0.1", True), ("::1", True), ("fd00::1", True), ("169.254.1.1", True),
     ("localhost", True), ("100.64.0.1", True), ("::ffff:10.0.0.1", True), ("8.8.8.8", False), ("2606:4700::1", False),
     ("example.org", False), ("", False)],
)  # fmt: skip
def test_an_address_of_ones_own_network_is_known_for_what_it_is(host: str, private: bool) -> None:
    assert endpoints._is_private(host) is private
