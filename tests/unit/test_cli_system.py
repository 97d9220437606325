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
