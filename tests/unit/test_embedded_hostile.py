"""A service that was taken over owns its folder: what it leaves there must not turn against who starts it (root)."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeline.embedded import processes
from lifeline.embedded.acl import acl
from lifeline.embedded.passwords import password_file
from lifeline.embedded.processes import Account
from lifeline.errors import ConfigurationError, ServiceError

ME = Account(os.geteuid(), os.getegid())
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def treasure(tmp_path: Path) -> Path:
    """A file of somebody else's, which must stay as it is."""
    path = tmp_path / "treasure"
    path.write_text("precious\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a service."""
    path = tmp_path / "service"
    path.mkdir()
    return path


def untouched(treasure: Path) -> bool:
    state = treasure.stat()
    return (
        treasure.read_text() == "precious\n" and state.st_uid == os.geteuid() and stat.S_IMODE(state.st_mode) == 0o600
    )


def test_a_link_in_the_place_of_the_log_is_not_written_through(folder: Path, treasure: Path) -> None:
    (folder / "service.log").symlink_to(treasure)
    with pytest.raises(ServiceError, match=r"service\.log"):
        processes.start(
            ["/bin/echo", "root was here"],
            folder=folder,
            account=ME,
            log=folder / "service.log",
            when_owner_dies=signal.SIGKILL,
        )
    assert untouched(treasure)


def test_a_link_in_the_place_of_the_owners_file_is_not_emptied(folder: Path, treasure: Path) -> None:
    (folder / "owner").symlink_to(treasure)
    with pytest.raises(ServiceError, match="owner"):
        processes.own(folder)
    assert untouched(treasure)


@root_only
def test_a_link_in_the_place_of_a_folder_gives_nothing_away(folder: Path, tmp_path: Path) -> None:
    """``chmod`` and ``chown`` follow links: the folder behind this one would become the service's."""
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    other.chmod(0o755)
    (folder / "data").symlink_to(other)
    os.lchown(folder / "data", 65_534, 65_534)
    with pytest.raises(ServiceError, match="data"):
        processes.make_folder(folder / "data", ME)
    assert stat.S_IMODE(other.stat().st_mode) == 0o755


def test_a_link_in_the_place_of_a_private_file_is_replaced_and_what_it_names_stays(
    folder: Path, treasure: Path
) -> None:
    (folder / "password").symlink_to(treasure)
    (folder / ".password.new").symlink_to(treasure)
    processes.write_private(folder / "password", "secret", ME)
    assert not (folder / "password").is_symlink()
    assert (folder / "password").read_text() == "secret"
    assert untouched(treasure)


@root_only
def test_the_new_file_is_given_away_by_its_handle_and_not_by_its_name(
    folder: Path, treasure: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between writing and giving away, the owner of the folder could put a link to anything in the file's place."""

    def swapped(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        name.unlink()
        name.symlink_to(treasure)

    monkeypatch.setattr(os, "fsync", swapped)
    processes.write_private(folder / "password", "secret", Account(65_534, 65_534))
    assert untouched(treasure)


@root_only
def test_a_service_runs_without_a_trace_of_roots_rights(folder: Path) -> None:
    nobody = Account(65_534, 65_534)
    os.chown(folder, nobody.uid, nobody.gid)
    folder.parent.chmod(0o711)
    process = processes.start(
        ["/bin/grep", "-E", "^(Uid|Gid|Groups|CapEff|CapPrm):", "/proc/self/status"],
        folder=folder,
        account=nobody,
        log=folder / "log",
        when_owner_dies=signal.SIGKILL,
    )
    assert process.wait(60) == 0
    told = {name: set(value.split()) for name, _, value in (x.partition(":") for x in _lines(folder / "log"))}
    none = {"0" * 16}
    assert told == {"Uid": {"65534"}, "Gid": {"65534"}, "Groups": set(), "CapEff": none, "CapPrm": none}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_pipe_in_the_place_of_the_log_does_not_stop_the_start(folder: Path) -> None:
    """To open one for writing would wait for a reader, for ever."""
    os.mkfifo(folder / "log")
    with pytest.raises(ServiceError, match="log"):
        processes.start(["/bin/true"], folder=folder, account=ME, log=folder / "log", when_owner_dies=signal.SIGKILL)


def test_a_folder_may_be_a_link_to_another_disk_where_we_made_it(folder: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o755)
    folder.parent.chmod(0o711)
    (folder / "data").symlink_to(disk)
    processes.make_folder(folder / "data", ME)
    assert stat.S_IMODE(disk.stat().st_mode) == 0o700


def test_a_service_sees_nothing_of_its_starters_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIFELINE_DATABASE_URL", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "PYTHONPATH"):
        monkeypatch.setenv(name, "from-outside")
    process = processes.start(
        ["/usr/bin/env"], folder=folder, account=ME, log=folder / "log", when_owner_dies=signal.SIGKILL
    )
    assert process.wait(60) == 0
    told = (folder / "log").read_text()
    assert "from-outside" not in told
    assert {line.split("=")[0] for line in told.splitlines()} <= {"LC_ALL", "PATH", "HOME", "PWD", "SHLVL", "_"}


def test_what_a_service_writes_is_readable_by_it_alone(folder: Path) -> None:
    process = processes.start(
        ["/bin/sh", "-c", "echo secret > made"],
        folder=folder,
        account=ME,
        log=folder / "log",
        when_owner_dies=signal.SIGKILL,
    )
    assert process.wait(60) == 0
    assert stat.S_IMODE((folder / "made").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "log").stat().st_mode) & 0o077 == 0


def test_a_services_input_is_what_was_typed_and_never_the_terminal(folder: Path) -> None:
    process = processes.start(
        ["/bin/cat"], folder=folder, account=ME, log=folder / "log", when_owner_dies=signal.SIGKILL, typed="CREATE\n"
    )
    assert process.wait(60) == 0
    assert (folder / "log").read_text() == "CREATE\n"


def test_a_service_ends_with_the_process_that_started_it(folder: Path) -> None:
    """However that one ends: here by SIGKILL, which no handler sees."""
    script = f"""
import os, signal, time
from pathlib import Path
from lifeline.embedded import processes
folder = Path({str(folder)!r})
account = processes.Account(os.geteuid(), os.getegid())
child = processes.start(["/bin/sleep", "60"], folder=folder, account=account, log=folder / "log",
                        when_owner_dies=signal.SIGTERM)
print(child.pid, flush=True)
time.sleep(60)
"""
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    service = int(starter.stdout.readline())
    assert service in _running_in_soon(folder, True)
    starter.kill()
    starter.wait()
    assert service not in _running_in_soon(folder, False)
    starter.stdout.close()


def _running_in_soon(folder: Path, wanted: bool) -> list[int]:
    deadline = time.monotonic() + 60
    while bool(found := processes.running_in(folder)) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def test_left_overs_of_a_folder_are_killed_and_the_neighbours_are_not(folder: Path, tmp_path: Path) -> None:
    neighbour = tmp_path / "neighbour"
    neighbour.mkdir()
    children = [
        processes.start(["/bin/sleep", "60"], folder=at, account=ME, log=at / "log", when_owner_dies=signal.SIGKILL)
        for at in (folder, neighbour)
    ]
    _running_in_soon(folder, True)
    _running_in_soon(neighbour, True)
    processes.kill_all(folder)
    assert children[0].wait(60) == -signal.SIGKILL
    assert children[1].poll() is None
    processes.stop(children[1], signal.SIGTERM, neighbour, seconds=60)
    assert children[1].returncode == -signal.SIGTERM


def test_a_service_that_ends_while_it_starts_says_its_last_words(folder: Path) -> None:
    process = processes.start(
        ["/bin/sh", "-c", "echo address already in use; exit 3"],
        folder=folder,
        account=ME,
        log=folder / "log",
        when_owner_dies=signal.SIGKILL,
    )
    with pytest.raises(ServiceError, match=r"Broker ended while it started \(status 3\):\naddress already in use"):
        processes.wait_until(lambda: False, process, folder / "log", what="Broker")


def test_a_service_that_never_gets_ready_is_given_up(folder: Path) -> None:
    process = processes.start(
        ["/bin/sleep", "60"], folder=folder, account=ME, log=folder / "log", when_owner_dies=signal.SIGKILL
    )
    with pytest.raises(ServiceError, match="Broker was not ready within 0 s"):
        processes.wait_until(lambda: False, process, folder / "log", what="Broker", seconds=0.1)
    processes.stop(process, signal.SIGTERM, folder, seconds=5)


def test_a_program_that_is_not_there_is_a_failure_and_not_a_silence(folder: Path) -> None:
    process = processes.start(
        [folder / "no-such-program"], folder=folder, account=ME, log=folder / "log", when_owner_dies=signal.SIGKILL
    )
    assert process.wait(60) != 0
    assert "no-such-program" in processes.tail(folder / "log") or "FileNotFoundError" in processes.tail(folder / "log")


def test_a_log_that_has_grown_large_is_put_aside_at_the_next_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_LIMIT_BYTES", 10)
    (folder / "service.log").write_text("x" * 11)
    process = processes.start(
        ["/bin/echo", "new"],
        folder=folder,
        account=ME,
        log=folder / "service.log",
        when_owner_dies=signal.SIGKILL,
    )
    assert process.wait(60) == 0
    assert (folder / "service.old").read_text() == "x" * 11
    assert (folder / "service.log").read_text() == "new\n"


@pytest.mark.parametrize("written", ["", "x", "-1", "99999999", "80.5", "22\n33"])
def test_a_port_file_that_makes_no_sense_is_replaced(written: str, folder: Path) -> None:
    (folder / "port").write_text(written)
    port = processes.keep_port(folder / "port", ME)
    assert port in processes.PORTS
    assert int((folder / "port").read_text()) == port


# ------------------------------------------------------------------------------------------------ passwords and ACL


def allowed(user: str, topic: str, access: str) -> bool:
    """Mosquitto's rules for a concrete topic, read from the file as its manual says: a deny wins, patterns hold for
    everybody."""
    current, granted, denied = "", False, False
    for line in acl().splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            current = rest
        elif word in ("topic", "pattern"):
            what, _, pattern = rest.partition(" ")
            applies = word == "pattern" or current == user
            if applies and _matches(pattern.replace("%u", user), topic):
                denied |= what == "deny"
                granted |= what in (access, "readwrite")
    return granted and not denied


def _matches(pattern: str, topic: str) -> bool:
    wanted, parts = pattern.split("/"), topic.split("/")
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at >= len(parts) or level not in ("+", parts[at]):
            return False
    return len(wanted) == len(parts)


LEVEL = st.text(st.characters(codec="utf-8", exclude_characters="/+#\0"), min_size=1, max_size=12)
DEVICE = LEVEL.filter(lambda name: name not in ("ingest", "simulator"))


@given(me=DEVICE, network=LEVEL, leaf=st.sampled_from(["readings", "status"]))
def test_a_device_writes_its_own_topics_in_any_network(me: str, network: str, leaf: str) -> None:
    assert allowed(me, f"lifeline/v1/{network}/{me}/{leaf}", "write")


@given(me=DEVICE, other=LEVEL, network=LEVEL, leaf=LEVEL)
def test_a_device_writes_nothing_under_anothers_name(me: str, other: str, network: str, leaf: str) -> None:
    assert allowed(me, f"lifeline/v1/{network}/{other}/{leaf}", "write") == (
        me == other and leaf in ("readings", "status")
    )


@given(me=DEVICE, levels=st.lists(LEVEL, min_size=1, max_size=7))
def test_a_device_reads_nothing_at_all(me: str, levels: list[str]) -> None:
    assert not allowed(me, "/".join(levels), "read")


@given(levels=st.lists(LEVEL, min_size=1, max_size=4), leaf=LEVEL)
def test_ingest_writes_nothing_not_even_as_the_device_that_its_name_would_be(levels: list[str], leaf: str) -> None:
    for topic in ("/".join(levels), f"lifeline/v1/{levels[0]}/ingest/readings", f"lifeline/v1/gas/{leaf}/readings"):
        assert not allowed("ingest", topic, "write")


@given(name=st.text(max_size=40))
def test_no_user_name_that_is_taken_reaches_beyond_its_own_level(name: str) -> None:
    """What the password file takes can neither be a wildcard, nor two levels, nor a second line or field."""
    try:
        text = password_file({name: "secret"}, iterations=1)
    except ConfigurationError:
        return
    assert text.count("\n") == 1
    assert text.rstrip("\n").split(":")[0] == name
    assert allowed(name, f"lifeline/v1/gas/{name}/readings", "write")
    assert not {"+", "#", "/", ":", "\0", "\n", "\r"} & set(name)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True), st.text(min_size=1, max_size=60), max_size=8)
)
def test_a_password_file_has_a_line_for_each_user_and_no_password(users: dict[str, str]) -> None:
    lines = password_file(users, iterations=1).splitlines()
    assert [line.split(":")[0] for line in lines] == list(users)
    for line, (name, password) in zip(lines, users.items(), strict=True):
        assert len(password) < 8 or password not in line.removeprefix(name)
