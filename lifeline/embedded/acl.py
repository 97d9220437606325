"""Who may read and write which topic."""

from importlib.resources import files


def acl() -> str:
    """Text of Mosquitto's ACL file: `ingest` reads all, a device writes its own topics, `simulator` writes all."""
    return files("lifeline.embedded").joinpath("acl.conf").read_text(encoding="utf-8")
