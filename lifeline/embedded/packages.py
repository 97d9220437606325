"""A private apt: fetches Debian packages with their libraries into a folder and leaves the machine's own alone.

The machine's mirror, proxy and archive keyring are used; its package state, caches and sources are not. apt
checks the signature of the index and the hash of every package.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifeline.errors import ServiceError

Progress = Callable[[str, float], None]

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
# PostgreSQL loads LLVM only for jit, which is off here; the others belong to maintainer scripts and to systemd.
UNUSED_LIBRARIES = re.compile(
    r"lib(.*-perl|audit-common|blkid|c-bin|c-l10n|db5|debconf|gdbm|io-pty|llvm|mount|perl|proc2|sem|sepol|"
    r"systemd-shared|z3)"
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Packages of one Debian suite that run together on that suite's own C library."""

    name: str
    suite: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    """Paths below the root, each replaced by a wrapper that starts it with the bundle's own loader."""


def run(command: Sequence[str], *, cwd: Path | None = None) -> str:
    """Runs a command and returns its standard output; a failure becomes a ServiceError with what it said."""
    try:
        done = subprocess.run(command, cwd=cwd, env=_environment(), capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ServiceError(
            f"{command[0]} is not on this machine, so Debian's packages cannot be unpacked. Install PostgreSQL "
            "with TimescaleDB and Mosquitto yourself, or configure LIFELINE_DSN and the broker's address."
        ) from error
    if done.returncode != 0:
        raise _failure(f"{Path(command[0]).name} {command[-1]}", done.stderr or done.stdout)
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _failure(what: str, said: str) -> ServiceError:
    said = "\n".join(said.strip().splitlines()[-12:])
    return ServiceError(f"{what} failed:\n{said}{_advice(said)}")


def _advice(said: str) -> str:
    if "NO_PUBKEY" in said or "not signed" in said or "public key" in said:
        return "\nThe archive's signature cannot be checked: apt-get install debian-archive-keyring"
    if "No space left" in said:
        return "\nThe disk is full: the first start needs 400 MB free (LIFELINE_CACHE names another folder)."
    if "is expired" in said:
        return (
            "\nThe mirror is older than its own index allows. Name another one in /etc/apt/sources.list; where you "
            "trust it: echo 'Acquire::Check-Valid-Until \"false\";' > /etc/apt/apt.conf.d/99-old-mirror"
        )
    if "Could not resolve" in said or "Could not connect" in said or "Failed to fetch" in said:
        return "\nThe Debian mirror cannot be reached: the first start needs the network, later ones do not."
    return ""


def mirrors() -> list[str]:
    """Addresses of the archives that this machine's apt uses, the likeliest to be Debian's own first."""
    listed = run(["apt-get", "--print-uris", "update"])
    found = re.findall(r"^'(\S+)/dists/([^/']+)/InRelease'", listed, re.MULTILINE)
    sites = dict.fromkeys(site for site, suite in found if not suite.endswith("security") and "security" not in site)
    if not sites:
        raise ServiceError(
            "apt names no Debian archive (apt-get --print-uris update). Add one to /etc/apt/sources.list, or "
            "install PostgreSQL with TimescaleDB and Mosquitto yourself."
        )
    return sorted(sites, key=lambda site: not site.endswith("/debian"))


class PrivateApt:
    """apt with every folder of its own below ``home``, for one suite."""

    def __init__(self, home: Path, suite: str) -> None:
        self.home = home
        self.suite = suite
        for folder in ("lists/partial", "cache/archives/partial", "etc", "state"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        self._configuration = home / "apt.conf"
        self._configuration.write_text(_CONFIGURATION.format(home=home))

    def update(self) -> None:
        """Reads the suite's index from the first of the machine's archives that has it."""
        keyring = next((path for path in KEYRINGS if path.exists()), None)
        signed_by = f"[signed-by={keyring}] " if keyring else ""
        refused: ServiceError | None = None
        for site in mirrors():
            (self.home / "sources.list").write_text(f"deb {signed_by}{site} {self.suite} main\n")
            try:
                self._apt_get("--error-on=any", "update")
            except ServiceError as error:
                refused = refused or error
            else:
                return
        raise ServiceError(f"Debian {self.suite} could not be read from this machine's archives.\n{refused}")

    def closure(self, packages: Sequence[str]) -> list[str]:
        """The packages with every library that they need, as apt resolves it on an empty machine."""
        listed = self._apt_get("--print-uris", "-qq", "--yes", "install", *packages)
        names = [line.split()[1].split("_")[0] for line in listed.splitlines() if line.startswith("'")]
        return [
            name for name in names if name in packages or (name.startswith("lib") and not UNUSED_LIBRARIES.match(name))
        ]

    def download(self, packages: Sequence[str], folder: Path, progress: Callable[[float], None]) -> None:
        """Downloads packages into ``folder``; apt refuses one whose hash is not the index's."""
        command = ["apt-get", "-c", str(self._configuration), "-o", "APT::Status-Fd=1", "download", *packages]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                command, cwd=folder, env=_environment(), stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            for line in process.stdout or ():
                if line.startswith("dlstatus:"):
                    progress(float(line.split(":")[2]) / 100)
            if process.wait() != 0:
                errors.seek(0)
                raise _failure("apt-get download", errors.read())

    def _apt_get(self, *arguments: str, cwd: Path | None = None) -> str:
        return run(["apt-get", "-c", str(self._configuration), *arguments], cwd=cwd)


# `#clear` drops the hooks of the machine's own configuration, which would act on the machine's own caches.
_CONFIGURATION = """\
Dir::State "{home}/state";
Dir::State::Lists "{home}/lists";
Dir::State::status "/dev/null";
Dir::State::extended_states "{home}/state/extended_states";
Dir::Cache "{home}/cache";
Dir::Etc::SourceList "{home}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::Cache::pkgcache "pkgcache.bin";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::AllowInsecureRepositories "false";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Invoke;
"""


def fetch(bundle: Bundle, root: Path, work: Path, progress: Progress) -> None:
    """Unpacks the bundle into ``root``; ``work`` holds what is not kept. Progress goes from 0 to 1."""
    if shutil.which("dpkg-deb") is None:
        raise ServiceError("dpkg-deb is not on this machine: packages cannot be unpacked (apt-get install dpkg)")
    apt = PrivateApt(work / f"apt-{bundle.suite}", bundle.suite)
    progress(f"reading Debian {bundle.suite}", 0.0)
    apt.update()
    names = apt.closure(bundle.packages)
    folder = work / f"packages-{bundle.name}"
    folder.mkdir()
    root.mkdir(parents=True)
    apt.download(names, folder, lambda done: progress(f"fetching {bundle.name}", 0.2 + 0.6 * done))
    for done, package in enumerate(sorted(folder.glob("*.deb"))):
        progress(f"unpacking {bundle.name}", 0.8 + 0.2 * done / len(names))
        run(["dpkg-deb", "--extract", str(package), str(root)])
        package.unlink()
    # Some packages leave the links under their libraries' short names to their installation.
    ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin") or "ldconfig"
    for libraries in root.glob("usr/lib/*-linux-gnu"):
        run([ldconfig, "-n", str(libraries)])
    progress(f"{bundle.name} is unpacked", 1.0)
