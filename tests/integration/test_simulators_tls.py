"""Devices as they are at a broker with TLS: their own log-ins, SenML, doubles, late messages, and a real ingest."""

import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import psycopg
import pytest

from lifeline.catalogue import shipped_catalogue
from lifeline.cli.inventory import import_files
from lifeline.embedded import Broker
from lifeline.errors import ConfigurationError
from lifeline.settings import Settings, load_settings
from lifeline.storage.database import connect
from simulators.fleet import Fleet
from simulators.gateway import Gateway
from simulators.habits import Habit, Habits
from simulators.inventory import write_inventory
from simulators.planning import make_town
from simulators.town import Town
from tests.conftest import PASSWORDS
from tests.ingest_process import books, environment, ingest_process, wait_for
from tests.integration.city import NOON

OWN = {"water-tower": "tower-secret", "water-works": "works-secret"}
"""Devices with a password of their own; all others speak through their gateways, as `simulator`."""
ROUGH = Habits(
    (
        ("water-*", Habit(form="senml", duplicates=0.3, late=0.3)),
        ("gas-*", Habit(gathered=3, duplicates=0.3, late=0.3, drift_s_per_day=5.0, dead_time_s=20.0)),
    )
)


class TlsBroker(Broker):
    """The broker with its listener behind a certificate."""

    certificate: Path
    key: Path

    def configuration(self) -> str:
        listener = f"listener {self.port} 127.0.0.1\n"
        return (
            super()
            .configuration()
            .replace(listener, f"{listener}certfile {self.certificate}\nkeyfile {self.key}\ntls_version tlsv1.2\n")
        )

    def _is_ready(self) -> bool:
        trust = ssl.create_default_context(cafile=str(self.certificate))
        try:
            ssl.get_server_certificate((self.host, self.port), ca_certs=str(self.certificate), timeout=10)
        except (OSError, ssl.SSLError):
            return False
        return trust.verify_mode == ssl.CERT_REQUIRED


@pytest.fixture
def broker(service_home: Path, programs: Path) -> Iterator[TlsBroker]:
    """A real Mosquitto with a certificate of its own, made here."""
    broker = TlsBroker(service_home, PASSWORDS | OWN)
    broker.certificate, broker.key = service_home / "ca.pem", service_home / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=lifeline test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(broker.key), "-out", str(broker.certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    broker.key.chmod(0o644)
    with broker:
        yield broker


def settings_for(broker: TlsBroker, **other: object) -> Settings:
    given = {
        "mqtt_host": broker.host, "mqtt_port": broker.port, "mqtt_username": "simulator",
        "mqtt_password": PASSWORDS["simulator"], "mqtt_ca_file": broker.certificate,
    }  # fmt: skip
    return load_settings(**(given | other))


@pytest.fixture
def town(clean_database: str, tmp_path: Path) -> Town:
    """The small town, in the inventory."""
    town = make_town(1)
    with connect(clean_database) as connection:
        import_files(connection, list(write_inventory(town, tmp_path / "town")), shipped_catalogue(), NOON)
    return town


def test_over_tls_rough_devices_with_log_ins_of_their_own_lose_nothing_and_double_nothing(
    broker: TlsBroker, town: Town, clean_database: str, tmp_path: Path
) -> None:
    secrets = tmp_path / "mqtt"
    secrets.mkdir()
    for name, secret in OWN.items():
        (secrets / name).write_text(secret)
    env = environment(clean_database, broker, PASSWORDS["ingest"], mqtt_ca_file=broker.certificate)
    with ingest_process(env, tmp_path / "ingest.log"):
        fleet = Fleet(town, shipped_catalogue(), settings_for(broker), "tls", ROUGH, secrets)
        assert OWN.keys() <= fleet.gateways.keys()
        fleet.start()
        fleet.wait_connected(Event())
        begin = time.time() - 600
        fleet.go_live(begin)
        truth = np.array([3.0 if i.quantity == "battery" else 0.2 for i in town.instruments])
        sent = sum(fleet.sample(begin + second, truth) for second in range(600))
        for gateway in fleet.gateways.values():
            assert gateway.drain(60)
        fleet.stop()
        wait_for(
            lambda: books(clean_database)["stored"] + books(clean_database)["quarantined"] >= sent, "all that was sent"
        )
    found = books(clean_database)
    assert (found["stored"], found["readings"], found["quarantined"]) == (sent, sent, 0)
    assert found["duplicate"] > 0.1 * sent
    with psycopg.connect(clean_database) as connection:
        speaking = connection.execute("SELECT count(DISTINCT sensor_id) FROM reading").fetchone()
        mine = connection.execute(
            "SELECT count(*) FROM reading JOIN sensor USING (sensor_id) JOIN device USING (device_id)"
            " WHERE external_id = ANY(%s)",
            [list(OWN)],
        ).fetchone()
    assert speaking == (len(town.instruments),)
    assert mine is not None
    assert mine[0] > 300


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")  # paho leaves it where TLS fails
def test_who_does_not_know_the_certificate_or_the_password_stays_outside(broker: TlsBroker, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=another", "-keyout", str(tmp_path / "k.pem"), "-out", str(other)],
        check=True, capture_output=True,
    )  # fmt: skip
    devices = [("water", "water-tower")]
    stranger = Gateway("water-tower", "water", devices, settings_for(broker, mqtt_ca_file=other), "stranger")
    plain = Gateway("water-tower", "water", devices, settings_for(broker, mqtt_ca_file=None), "plain")
    wrong = settings_for(broker, mqtt_username="water-tower", mqtt_password="wrong")
    liar = Gateway("water-tower", "water", devices, wrong, "liar")
    for gateway in (stranger, plain, liar):
        gateway.start()
    try:
        with pytest.raises(ConfigurationError, match="the broker refuses water-tower"):
            liar.wait_connected(60)
        assert not stranger.wait_connected(1)
        assert not plain.wait_connected(0)
    finally:
        for gateway in (stranger, plain, liar):
            gateway.stop(0)
