"""Who may read and write which topic."""

from importlib.resources import files

from lifeline import wire


def acl(root: str = wire.ROOT) -> str:
    """Text of Mosquitto's ACL file: `ingest` reads all, a device writes its own topics, `simulator` writes all.

    All of it below ``root``: what no line allows is refused.
    """
    text = files("lifeline.embedded").joinpath("acl.conf").read_text(encoding="utf-8")
    return text.replace(wire.ROOT, root)
