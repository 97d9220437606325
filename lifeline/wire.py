"""The wire contract: topics. Payload shapes are documented in docs/reference/wire.md and decoded by ingest.

Device and network in the topic are the truth; a payload cannot speak for another device.
"""

import re
from typing import NamedTuple

ROOT = "lifeline/v1"
READINGS_FILTER = f"{ROOT}/+/+/readings"
STATUS_FILTER = f"{ROOT}/+/+/status"
SHARE_GROUP = "lifeline"

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_CHANNEL = re.compile(r"[a-z][a-z0-9_]{0,31}(\.[A-Za-z0-9_-]{1,31})?")


class Topic(NamedTuple):
    """``lifeline/v1/{network}/{device}/{leaf}``."""

    network: str
    device: str
    leaf: str


def parse_topic(topic: str) -> Topic | None:
    """The parts of a topic of the contract, or None for any other topic."""
    parts = topic.split("/")
    if len(parts) != 5 or parts[0] != "lifeline" or parts[1] != "v1" or parts[4] not in ("readings", "status"):
        return None
    return Topic(parts[2], parts[3], parts[4])


def readings_topic(network: str, device: str, root: str = ROOT) -> str:
    """Where a device publishes its readings; ``root`` is another one in a drill alone."""
    return f"{root}/{network}/{device}/readings"


def status_topic(network: str, device: str, root: str = ROOT) -> str:
    """Where a device's retained status stands, ``offline`` by its last will."""
    return f"{root}/{network}/{device}/status"


def exercise_root(drill: int) -> str:
    """The root of a drill's topics: who sees one of its messages anywhere sees that it is an exercise."""
    return f"lifeline-exercise/{drill}/v1"


def is_root(text: str) -> bool:
    """Whether ``text`` may stand in front of network and device: levels of letters, digits, dots and dashes."""
    return re.fullmatch(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", text) is not None


def shared(topic_filter: str, group: str = SHARE_GROUP) -> str:
    """The filter as an MQTT 5 shared subscription: each message goes to one consumer of the group."""
    return f"$share/{group}/{topic_filter}"


def is_identifier(text: str) -> bool:
    """Whether ``text`` may name a device or an external id: it must be safe in a topic, an ACL and a URL."""
    return _IDENTIFIER.fullmatch(text) is not None


def is_channel(text: str) -> bool:
    """Whether ``text`` is ``quantity`` or ``quantity.suffix``."""
    return _CHANNEL.fullmatch(text) is not None
