"""CloudEvents 1.0, structured content mode: the own body's data in the CNCF's envelope."""

from lifeline.messages.message import Encoded, Message, compact
from lifeline.messages.own import fit

PREFIX = "city.lifeline."
"""Before the type, in the form of a reversed domain as CloudEvents asks; it is a name and no address."""


def encode(message: Message) -> Encoded:
    """``id`` is the message's id, so (source, id) is unique and the same in every attempt."""
    body = fit(message)
    data = body["data"]
    event = {
        "specversion": "1.0",
        "id": message.message_id,
        "source": message.public_url or f"urn:lifeline:{message.sender}",
        "type": PREFIX + message.type,
        "subject": _subject(message),
        "time": message.body["timestamp"],
        "datacontenttype": "application/json",
        "data": data,
    }
    return Encoded(compact(event), "application/cloudevents+json")


def _subject(message: Message) -> str:
    data = message.data
    if data.get("incident_id"):
        return f"incidents/{data['incident_id']}"
    return f"alerts/{data['alert_id']}" if data.get("alert_id") else message.type
