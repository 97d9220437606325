"""The own body: ``{"type", "timestamp", "data"}``, as Standard Webhooks proposes."""

from lifeline.messages.message import Encoded, Message, compact, page_of
from lifeline.model import JsonObject

MAX_BYTES = 20_000


def encode(message: Message) -> Encoded:
    """The message under 20 kB, with a link to the page and its field links where there are any."""
    return Encoded(compact(fit(message)), "application/json")


def fit(message: Message) -> JsonObject:
    """The body with its links; what is long is left out until it is under 20 kB."""
    data = message.data
    if url := page_of(data, message.public_url):
        data["url"] = url
    if message.status != "Actual":
        data["status"] = message.status
    if message.links:
        data["links"] = dict(message.links)
    body = message.body | {"data": data}
    if len(compact(body)) >= MAX_BYTES:
        data["evidence"] = {"omitted": "too long; the API has it"}
        data["note"] = str(data.get("note") or "")[:1000]
    return body
