"""The configuration of docker-compose.yml's broker, tried on the embedded Mosquitto."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from lifeline.embedded.programs import mosquitto_programs

ROOT = Path(__file__).resolve().parents[2]
PATH = {"PATH": os.environ["PATH"]}


def test_the_brokers_configuration_is_one_that_mosquitto_takes(programs: Path, tmp_path: Path) -> None:
    found = mosquitto_programs()
    assert found.persist_plugin is not None
    text = (ROOT / "deploy" / "mosquitto.conf").read_text(encoding="utf-8")
    text = text.replace("/run/mosquitto/persist.so", str(found.persist_plugin))
    text = re.sub(r"/(run/mosquitto|mosquitto/data)", str(tmp_path), text)
    (tmp_path / "mosquitto.conf").write_text(text)
    command = [found.mosquitto, "-c", tmp_path / "mosquitto.conf", "--test-config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "mosquitto.conf").write_text(text + "no_such_setting 1\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_the_container_makes_the_same_committing_plugin_as_the_embedded_broker(programs: Path, tmp_path: Path) -> None:
    found = mosquitto_programs()
    assert found.persist_plugin is not None
    assert found.committing_plugin is not None
    script = (ROOT / "deploy" / "broker").read_text(encoding="utf-8")
    line = next(line for line in script.splitlines() if line.startswith("sed "))
    for sed in ["sed", *(["busybox sed"] if shutil.which("busybox") else [])]:
        made = tmp_path / "persist.so"
        command = line.replace("sed ", f"{sed} ", 1).replace("/run/mosquitto/persist.so", str(made))
        subprocess.run(["/bin/sh", "-euc", command], env={"plugin": str(found.persist_plugin), **PATH}, check=True)
        assert made.read_bytes() == found.committing_plugin.read_bytes(), sed
