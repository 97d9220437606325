"""The configuration of docker-compose.yml's broker, tried on the embedded Mosquitto."""

import re
import subprocess
from pathlib import Path

from lifeline.embedded.programs import mosquitto_programs

ROOT = Path(__file__).resolve().parents[2]


def test_the_brokers_configuration_is_one_that_mosquitto_takes(programs: Path, tmp_path: Path) -> None:
    found = mosquitto_programs()
    assert found.persist_plugin is not None
    text = (ROOT / "deploy" / "mosquitto.conf").read_text(encoding="utf-8")
    text = text.replace("/usr/lib/mosquitto_persist_sqlite.so", str(found.persist_plugin))
    text = re.sub(r"/(run/mosquitto|mosquitto/data)", str(tmp_path), text)
    (tmp_path / "mosquitto.conf").write_text(text)
    command = [found.mosquitto, "-c", tmp_path / "mosquitto.conf", "--test-config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "mosquitto.conf").write_text(text + "no_such_setting 1\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
