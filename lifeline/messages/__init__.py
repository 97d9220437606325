"""The bodies in which a message may be sent or published, one file each. Pure: a message in, bytes out."""

from collections.abc import Callable

from lifeline.messages import alertmanager, cap, cloudevents, own
from lifeline.messages.message import Encoded, Message

FORMATS: dict[str, Callable[[Message], Encoded]] = {
    "own": own.encode,
    "cloudevents": cloudevents.encode,
    "alertmanager": alertmanager.encode,
    "cap": cap.encode,
}
"""What ``endpoint.format`` may be, save ``chat``, which is no body but a channel (alerts/chat.py)."""
