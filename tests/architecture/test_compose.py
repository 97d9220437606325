"""docker-compose.yml, Dockerfile and deploy/, read: there is no Docker engine where these tests run."""

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from lifeline import wire
from lifeline.cli import app as command_line
from lifeline.embedded.acl import acl
from lifeline.settings import PREFIX, Settings
from lifeline.storage.roles import READERS, ROLES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("lifeline")}


def test_the_compose_file_is_under_120_lines() -> None:
    assert len(TEXT.splitlines()) < 120


def test_every_part_of_the_system_is_there() -> None:
    always = {"database", "broker", "migrate", "ingest", "alerts", "api", "planning"}
    assert set(SERVICES) == always | {"simulators", "grafana"}
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["simulators", "grafana"]


def test_every_image_is_pinned() -> None:
    images = {service["image"] for service in SERVICES.values()}
    images |= set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert len(images) == 6
    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+", image)] == []


def test_the_image_is_not_root_and_takes_only_hashed_packages() -> None:
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    installs = re.findall(r"pip install[^\\\n]*", DOCKERFILE)
    assert len(installs) == 3
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line] == []


def test_everything_that_the_image_copies_exists_and_is_not_ignored() -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
        if not name.startswith("$")
    }
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in kept or ("requirements" in name and "!requirements*.txt" in kept), name
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= copied


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_runs_a_command_that_exists(name: str) -> None:
    words = " ".join(SERVICES[name]["command"]).split()
    modules = [after for word, after in itertools.pairwise(words) if word == "-m"]
    assert all((ROOT / module.replace(".", "/") / "__main__.py").exists() for module in modules)
    commands = typer.main.get_command(command_line).commands  # type: ignore[attr-defined]
    named = [after for word, after in itertools.pairwise(words) if word == "lifeline"]
    assert set(named) <= set(commands)
    assert modules or named


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_of_a_service_is_a_setting(name: str) -> None:
    known = {f"{PREFIX}{field.upper()}{end}" for field in Settings.model_fields for end in ("", "_FILE")}
    assert set(SERVICES[name]["environment"]) <= known


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_mounts_the_secrets_that_it_reads_and_no_other(name: str) -> None:
    service = SERVICES[name]
    mounted = set(service.get("secrets", ()))
    assert mounted <= set(COMPOSE["secrets"])
    paths = re.findall(r"/run/secrets/(\w+)", yaml.safe_dump(service))
    assert set(paths) <= mounted
    if name == "migrate":
        assert mounted - set(paths) == {*ROLES.values(), *READERS}
    elif name == "broker":
        assert "/run/secrets/mqtt_users" in (ROOT / "deploy" / "broker").read_text(encoding="utf-8")
    elif name == "grafana":
        source = (ROOT / "deploy" / "grafana" / "datasources" / "lifeline.yml").read_text(encoding="utf-8")
        assert mounted == set(paths) | set(re.findall(r"/run/secrets/(\w+)", source))
    else:
        assert mounted == set(paths)


def test_the_compose_file_holds_no_secret() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|DATABASE_URL|KEY|_ADMIN", variable):
                assert variable.endswith("_FILE"), (name, variable)
                assert str(value).startswith("/run/secrets/")
    assert not re.search(r"postgres(ql)?://", TEXT)
    assert {secret["file"].rpartition("/")[0] for secret in COMPOSE["secrets"].values()} == {"deploy/private"}
    assert "/deploy/private/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_only_the_page_and_the_broker_are_published_and_only_to_this_machine_by_default() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"broker", "api", "grafana"}
    assert ports["grafana"] == ["127.0.0.1:3000:3000"]
    assert ports["api"] == [f"127.0.0.1:{Settings.model_fields['api_port'].default}:8080"]
    mqtt = Settings.model_fields["mqtt_port"].default
    assert ports["broker"] == [f"${{LIFELINE_MQTT_BIND:-127.0.0.1}}:{mqtt}:{mqtt}"]


def test_health_checks_ask_where_the_processes_answer() -> None:
    for name in ("ingest", "alerts", "planning"):
        port = Settings.model_fields[f"{name}_metrics_port"].default
        assert f":{port}/metrics" in str(SERVICES[name]["healthcheck"])
    assert ":8080/health" in str(SERVICES["api"]["healthcheck"])
    from api.system import router

    assert "/health" in {getattr(route, "path", None) for route in router.routes}


def test_each_process_is_healthy_before_the_next_needs_it() -> None:
    for name in ("ingest", "alerts", "api", "planning", "simulators"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES[name]["depends_on"]["broker"] == {"condition": "service_healthy"}
    assert SERVICES["migrate"]["depends_on"]["database"] == {"condition": "service_healthy"}


def test_the_acl_is_the_wire_contract() -> None:
    lines = {line for line in acl().splitlines() if line and not line.startswith("#")}
    assert lines == {
        "user ingest",
        f"topic read {wire.ROOT}/#",
        f"topic deny {wire.ROOT}/+/ingest/#",
        "user simulator",
        f"topic write {wire.READINGS_FILTER}",
        f"topic write {wire.STATUS_FILTER}",
        f"pattern write {wire.readings_topic('+', '%u')}",
        f"pattern write {wire.status_topic('+', '%u')}",
    }
    assert "./lifeline/embedded/acl.conf:/mosquitto/acl.conf:ro" in SERVICES["broker"]["volumes"]


def test_the_brokers_of_compose_and_of_lifeline_up_are_set_up_alike() -> None:
    from lifeline.embedded import broker

    source = Path(broker.__file__).read_text(encoding="utf-8")
    for line in (ROOT / "deploy" / "mosquitto.conf").read_text(encoding="utf-8").splitlines():
        word, _, value = line.partition(" ")
        if word.startswith("#"):
            continue
        assert f"\n{word} " in source, line
        if word in ("plugin_opt_page_size", "plugin_opt_sync", "plugin_opt_flush_period", "max_packet_size"):
            assert f"\n{line}\n" in source, line
        if word in ("max_inflight_messages", "max_queued_messages"):
            assert f"{word.removesuffix('_messages')}: int = {int(value):_}" in source, line


def made_secrets(folder: Path, *arguments: str) -> dict[str, str]:
    (folder / "deploy").mkdir(exist_ok=True)
    shutil.copy(ROOT / "deploy" / "secrets", folder / "deploy" / "secrets")
    subprocess.run([folder / "deploy" / "secrets", *arguments], check=True, capture_output=True)
    return {path.name: path.read_text() for path in (folder / "deploy" / "private").iterdir()}


def test_the_script_makes_every_secret_that_the_compose_file_names(tmp_path: Path) -> None:
    made = made_secrets(tmp_path, "demo")
    assert {secret["file"].rpartition("/")[2] for secret in COMPOSE["secrets"].values()} == set(made)
    assert (tmp_path / "deploy" / "private").stat().st_mode & 0o777 == 0o700


def test_secrets_are_random_and_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, other = made_secrets(tmp_path / "a"), made_secrets(tmp_path / "b")
    assert not set(first.values()) & set(other.values())
    assert made_secrets(tmp_path / "a") == first
    assert "mqtt_simulator" not in first
    assert "simulator" not in first["mqtt_users"]
    demo = made_secrets(tmp_path / "a", "demo")
    assert demo["mqtt_users"] == f"{first['mqtt_users']}simulator:{demo['mqtt_simulator']}\n"
    assert made_secrets(tmp_path / "a", "demo") == demo


def test_each_address_carries_its_own_log_in(tmp_path: Path) -> None:
    made = made_secrets(tmp_path)
    for process, role in ROLES.items():
        assert made[f"{process}_url"] == f"postgresql://{role}:{made[role]}@database:5432/lifeline"
    environment = SERVICES["database"]["environment"]
    owner = f"postgresql://{environment['POSTGRES_USER']}:{made['database_owner']}@database:5432/lifeline"
    assert made["database_url"] == owner
    assert made["mqtt_users"] == f"ingest:{made['mqtt_ingest']}\n"


@pytest.mark.parametrize("name", ["deploy/secrets", "deploy/broker", "scripts/setup", "scripts/clients", ".ci/run"])
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    shell = (ROOT / name).read_text(encoding="utf-8").splitlines()[0].removeprefix("#!")
    subprocess.run([shell, "-n", ROOT / name], check=True)
