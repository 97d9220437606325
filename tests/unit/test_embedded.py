"""Embedded services: what can be said without starting one."""

import base64
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.embedded import packages, processes, programs
from lifeline.embedded.acl import acl
from lifeline.embedded.database import Database
from lifeline.embedded.passwords import hashed, password_file
from lifeline.errors import ConfigurationError, ServiceError


@given(password=st.text(min_size=1), salt=st.binary(min_size=12, max_size=12))
def test_a_password_hash_is_pbkdf2_sha512_in_mosquittos_form(password: str, salt: bytes) -> None:
    empty, seven, iterations, salt_text, digest_text = hashed(password, salt, 101).split("$")
    assert (empty, seven, iterations) == ("", "7", "101")
    assert base64.b64decode(salt_text) == salt
    assert base64.b64decode(digest_text) == hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)


def test_two_users_with_one_password_have_different_hashes() -> None:
    first, second = password_file({"a": "same", "b": "same"}, iterations=1).splitlines()
    assert first.split(":")[0] == "a"
    assert first.split(":")[1] != second.split(":")[1]


@pytest.mark.parametrize("name", ["", "a:b", "a+b", "#", "lifeline/v1", "two words", "line\nbreak", "nul\0"])
def test_a_name_that_would_widen_an_acl_pattern_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="MQTT user name"):
        password_file({name: "secret"})


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        password_file({"name": ""})


def test_the_acl_gives_devices_their_own_topics_and_nobody_more() -> None:
    rules = [line for line in acl().splitlines() if line and not line.startswith("#")]
    assert rules == [
        "user ingest",
        "topic deny lifeline/v1/+/ingest/#",
        "topic read lifeline/v1/#",
        "user simulator",
        "topic write lifeline/v1/+/+/readings",
        "topic write lifeline/v1/+/+/status",
        "pattern write lifeline/v1/+/%u/readings",
        "pattern write lifeline/v1/+/%u/status",
    ]


def test_the_database_configuration_keeps_the_promise_of_a_commit(tmp_path: Path) -> None:
    lines = Database(tmp_path).configuration().splitlines()
    assert "fsync = on" in lines
    assert "synchronous_commit = on" in lines
    assert "listen_addresses = '127.0.0.1'" in lines
    assert "unix_socket_directories = ''" in lines
    assert "fsync = off" in Database(tmp_path, fsync=False).configuration().splitlines()


def test_the_plugin_is_changed_in_its_one_begin_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFELINE_CACHE", str(tmp_path / "cache"))
    plugin = tmp_path / "mosquitto_persist_sqlite.so"
    plugin.write_bytes(b"\x7fELF..PRAGMA\0BEGIN;\0END;\0..")
    copy = programs.committing(plugin)
    assert copy is not None
    assert copy.read_bytes() == b"\x7fELF..PRAGMA\0;;;;;;\0END;\0.."
    assert plugin.read_bytes() == b"\x7fELF..PRAGMA\0BEGIN;\0END;\0..", "the packaged file stays as it was signed"
    assert programs.committing(plugin) == copy


@pytest.mark.parametrize("content", [b"\0COMMIT;\0", b"\0BEGIN;\0..\0BEGIN;\0", b"\0BEGIN IMMEDIATE;\0"])
def test_a_plugin_of_another_making_is_left_alone(content: bytes, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin.so"
    plugin.write_bytes(content)
    assert programs.committing(plugin) is None


def _stub(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def _apt_prints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    _stub(tmp_path / "bin", "apt-get", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def test_the_machines_own_mirror_is_used_and_the_security_archive_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _apt_prints(
        monkeypatch,
        tmp_path,
        """cat <<'END'
'http://mirror.example/debian-security/dists/bookworm-security/InRelease' mirror.example_x 0
'http://other.example/tools/dists/bookworm/InRelease' other.example_x 0
'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_y 0
'http://mirror.example/debian/dists/bookworm-updates/InRelease' mirror.example_z 0
'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' mirror.example_p 0
END""",
    )
    assert packages.mirrors() == ["http://mirror.example/debian", "http://other.example/tools"]


def test_no_archive_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _apt_prints(monkeypatch, tmp_path, "true")
    with pytest.raises(ServiceError, match=r"names no Debian archive.*install"):
        packages.mirrors()


def test_no_apt_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match=r"apt-get is not on this machine.*Install PostgreSQL"):
        packages.mirrors()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("E: The repository is not signed.", "debian-archive-keyring"),
        ("W: GPG error: NO_PUBKEY 6ED0E7B82643E131", "debian-archive-keyring"),
        ("E: Could not resolve 'mirror.example'", "needs the network"),
        ("E: Release file for http://mirror.example is expired (invalid since 15d)", "Check-Valid-Until"),
        ("E: Write error - write (28: No space left on device)", "disk is full"),
    ],
)
def test_what_apt_complains_of_becomes_advice(
    said: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _apt_prints(monkeypatch, tmp_path, f'echo "{said}" >&2; exit 100')
    with pytest.raises(ServiceError, match=advice):
        packages.PrivateApt(tmp_path / "apt", "trixie").closure(["mosquitto"])


def test_the_closure_takes_libraries_and_leaves_what_maintainer_scripts_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["libc6", "perl-base", "libperl5.40", "libjson-perl", "libllvm19", "libz3-4", "libssl3t64", "systemd",
             "libsystemd0", "libsystemd-shared", "adduser", "libpq5", "postgresql-17"]  # fmt: skip
    listed = "\n".join(f"'http://m.example/{name}_1_amd64.deb' {name}_1%3a2_amd64.deb 1 SHA256:0" for name in names)
    _apt_prints(monkeypatch, tmp_path, f"cat <<'END'\n{listed}\nEND")
    taken = packages.PrivateApt(tmp_path / "apt", "trixie").closure(["postgresql-17"])
    assert taken == ["libc6", "libssl3t64", "libsystemd0", "libpq5", "postgresql-17"]


def test_the_cache_stands_where_the_setting_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_CACHE", str(tmp_path))
    assert programs.cache_folder() == tmp_path


def test_a_user_has_the_cache_below_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIFELINE_CACHE", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert programs.cache_folder() == tmp_path / "lifeline"


def test_too_small_a_disk_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "NEEDED_BYTES", 10**18)
    monkeypatch.setenv("LIFELINE_CACHE", str(tmp_path))
    with pytest.raises(ServiceError, match=r"MB free, and unpacking needs .* LIFELINE_CACHE"):
        programs._unpacked(programs.MOSQUITTO, None)


def test_a_failed_unpacking_leaves_nothing_that_looks_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_CACHE", str(tmp_path / "cache"))
    _apt_prints(monkeypatch, tmp_path, 'echo "Could not resolve" >&2; exit 100')
    with pytest.raises(ServiceError, match="needs the network"):
        programs._unpacked(programs.MOSQUITTO, None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_left_overs_of_a_killed_unpacking_are_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_CACHE", str(tmp_path / "cache"))
    half_done = tmp_path / "cache/.mosquitto-abcdef/root"
    half_done.mkdir(parents=True)
    _apt_prints(monkeypatch, tmp_path, "exit 100")
    with pytest.raises(ServiceError):
        programs._unpacked(programs.MOSQUITTO, None)
    assert not half_done.exists()


def test_two_starts_at_once_unpack_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELINE_CACHE", str(tmp_path))
    unpacked = []

    def fetch(bundle: packages.Bundle, root: Path, work: Path, progress: packages.Progress) -> None:
        unpacked.append(bundle.name)
        time.sleep(0.1)
        root.mkdir()

    monkeypatch.setattr(programs, "fetch", fetch)
    bundle = packages.Bundle(name="tool", suite="trixie", packages=(), programs=())
    with ThreadPoolExecutor(4) as pool:
        roots = set(pool.map(lambda _: programs._unpacked(bundle, None), range(4)))
    assert unpacked == ["tool"]
    assert roots == {tmp_path / f"tool-trixie-{programs.RECIPE}"}


def test_a_port_is_kept_while_it_is_free_and_changed_when_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = processes.account_for(tmp_path)
    port = processes.keep_port(tmp_path / "port", account)
    assert port in processes.PORTS
    assert processes.keep_port(tmp_path / "port", account) == port
    monkeypatch.setattr(processes, "_is_free", lambda candidate: candidate != port)
    assert processes.keep_port(tmp_path / "port", account) != port


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    first = processes.own(tmp_path)
    with pytest.raises(ServiceError, match="in use by another Lifeline"):
        processes.own(tmp_path)
    first.close()
    processes.own(tmp_path).close()


def test_a_private_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    processes.write_private(tmp_path / "secret", "text", processes.account_for(tmp_path))
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secret").read_text() == "text"
