"""What a running system gives each of its processes: a log-in of its own in a private file, ports, the broker."""

import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from lifeline.cli import demo
from lifeline.cli.children import GRACE_S
from lifeline.cli.home import Home
from lifeline.cli.system import System, _answers, reachable
from lifeline.embedded import Broker
from lifeline.errors import ConfigurationError
from lifeline.settings import Settings
from lifeline.storage.roles import ROLES

OWNER = "postgresql://owner:hush@db:5433/city"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LIFELINE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    return made


@contextmanager
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("process", sorted(ROLES))
def test_each_process_has_a_log_in_of_its_own_and_never_the_owners(process: str, home: Home) -> None:
    system = System(home, Settings(database_url=OWNER))
    path = Path(system._connection(process)["LIFELINE_DATABASE_URL_FILE"])
    given = conninfo_to_dict(path.read_text())
    assert given["user"] == ROLES[process]
    assert given["password"] == home.secret(ROLES[process]).read_text()
    assert (given["host"], given["dbname"]) == ("db", "city")
    assert "hush" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_ingest_logs_in_at_the_own_broker_by_a_file_whatever_is_configured(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD", "hush")
    system = System(home, Settings(), own_services=True)
    system.broker, system.mqtt = Broker(home.path, {}), ("127.0.0.1", 21883)
    given = system._mqtt()
    assert given["LIFELINE_MQTT_USERNAME"] == "ingest"
    assert Path(given["LIFELINE_MQTT_PASSWORD_FILE"]).read_text() == home.mqtt_users()["ingest"]
    assert "hush" not in given.values()


@pytest.mark.parametrize(("durable", "shared"), [(True, None), (False, "false")])
def test_ingest_is_alone_on_its_subscription_where_the_own_broker_would_forget_a_shared_one(
    durable: bool, shared: str | None, home: Home
) -> None:
    home.secret("mqtt/ingest")
    system = System(home, Settings(), own_services=True)
    system.broker, system.mqtt = Broker(home.path, {}, durable=durable), ("127.0.0.1", 21883)
    assert system._mqtt().get("LIFELINE_INGEST_SHARED") == shared


def test_ingest_logs_in_at_another_broker_as_it_is_configured(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_MQTT_USERNAME", "city")
    word = home.secret("elsewhere")
    monkeypatch.setenv("LIFELINE_MQTT_PASSWORD_FILE", str(word))
    system = System(home, Settings(mqtt_host="broker.example", mqtt_port=8883))
    assert system._mqtt() == {
        "LIFELINE_MQTT_HOST": "broker.example",
        "LIFELINE_MQTT_PORT": "8883",
        "LIFELINE_MQTT_USERNAME": "city",
        "LIFELINE_MQTT_PASSWORD_FILE": str(word),
    }


def test_a_port_that_was_asked_for_by_name_is_insisted_on_and_a_default_gives_way(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with taken() as port:
        asked = System(home, Settings(ingest_metrics_port=port))
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            asked._metrics("ingest")
        found = System(home, Settings())._port("api", port)
    assert found > port
    assert f"{port} is taken: api is on {found}" in capsys.readouterr().err


def test_metrics_that_are_switched_off_stay_off(home: Home) -> None:
    system = System(home, Settings(alerts_metrics_port=0))
    assert system._metrics("alerts") == {"LIFELINE_ALERTS_METRICS_PORT": "0"}


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("city.example", "city.example"),
     ("0.0.0.0", socket.gethostname()), ("::", socket.gethostname())],
)  # fmt: skip
def test_the_page_is_told_by_an_address_that_can_be_opened(host: str, address: str) -> None:
    assert reachable(host) == address


@pytest.mark.parametrize(("status", "up"), [(200, True), (401, True), (404, True), (500, False), (503, False)])
def test_the_api_is_up_when_it_answers_anything_but_a_failure_of_its_own(status: int, up: bool) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what matters."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert _answers(f"http://127.0.0.1:{server.server_port}/") is up
        thread.join()


@pytest.mark.parametrize("url", ["", "no url", "http://127.0.0.1:9/"])
def test_an_address_where_nothing_listens_is_not_up(url: str) -> None:
    assert not _answers(url)


def test_stopping_and_killing_a_system_that_never_started_does_nothing(home: Home) -> None:
    system = System(home, Settings(), own_services=True)
    system.reload_users()
    system.kill()
    system.stop()
    assert system.children == []


def test_a_child_of_the_system_logs_under_its_name_and_ends_with_the_system(home: Home) -> None:
    (home.logs / "sleeps.py").write_text("import time\ntime.sleep(60)")
    home.path.chmod(0o755)
    system = System(home, Settings(), own_services=True)
    child = system.start("sleeps", {"PYTHONPATH": str(home.logs)}, "--ignored")
    try:
        assert child.log == home.logs / "sleeps.log"
        assert child.alive
        assert system.children == [child]
    finally:
        asked = time.monotonic()
        system.stop()
    assert not child.alive
    assert time.monotonic() - asked < GRACE_S / 2, "a child that was started a moment ago hears that it is to end"


@pytest.mark.parametrize(("days", "phrase"), [(7.0, "write 7 days of history"), (0.2, "go on where they stopped")])
def test_the_demo_says_where_to_look_and_opens_the_page_only_when_asked(
    days: float, phrase: str, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("lifeline.cli.demo.webbrowser.open", opened.append)
    system = System(home, Settings(), own_services=True)
    system.url = "http://127.0.0.1:8080/"
    for browser in (False, True):
        demo.Demo(system, 1, browser)._tell("the-key", "the-link", days)
    told = capsys.readouterr()
    assert told.out.count("page      http://127.0.0.1:8080/#key=the-key\n") == 2
    assert phrase in told.err
    assert str(home.path / "truth.jsonl") in told.err
    assert "once      the-link " in told.out
    assert opened == ["the-link"]


def test_the_demo_uses_no_service_that_is_configured_for_a_real_city(home: Home) -> None:
    configured = Settings(database_url="postgresql://owner@real/city", mqtt_host="real.example")
    simulated, real = System(home, configured, own_services=True), System(home, configured)
    assert (simulated.dsn, simulated.mqtt[0]) == ("", "")
    assert (simulated._pace, real._pace) == ({"LIFELINE_ALERTS_CLEAR_S": "60"}, {})
    assert (real.dsn, real.mqtt[0]) == ("postgresql://owner@real/city", "real.example")


def test_simulators_are_given_the_broker_and_their_password_in_a_file(home: Home) -> None:
    home.make()
    system = System(home, Settings(), own_services=True)
    system.mqtt = ("127.0.0.1", 21883)
    given_ = system.simulator_environment()
    assert (given_["LIFELINE_MQTT_HOST"], given_["LIFELINE_MQTT_PORT"]) == ("127.0.0.1", "21883")
    assert Path(given_["LIFELINE_MQTT_PASSWORD_FILE"]).read_text() == home.mqtt_users()["simulator"]
    assert "LIFELINE_MQTT_PASSWORD" not in given_
    assert not any("DATABASE" in name for name in given_)


@pytest.mark.parametrize(("name", "password"), [("bad:name", "word"), ("empty", "")])
def test_a_password_file_that_the_broker_cannot_take_is_told_and_does_not_end_a_running_lifeline(
    name: str, password: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.make()
    system = System(home, Settings(), own_services=True)
    system.broker = Broker(home.path, {"rtu-1": "word"})
    home.secret("mqtt/rtu-1")
    (home.secrets / "mqtt" / name).write_text(password)
    system.reload_users()
    assert "the broker keeps the passwords that it has" in capsys.readouterr().err
    assert system.broker._users == {"rtu-1": "word"}  # with the others it could not start again either
