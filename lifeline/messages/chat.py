"""A message as a chat channel or a mail shows it: a title and lines, Chinese first."""

from typing import NamedTuple

from lifeline.messages.message import GROUP, Message, page_of
from lifeline.messages.words import LINKS, headline, lines

LONGEST = 3500
"""Characters: the shortest limit of the channels, less what they add. Links come last and are never cut in half."""


class Talk(NamedTuple):
    title: str
    text: str


def encode(message: Message) -> Talk:
    """Title and text. A group is a line for each message."""
    if message.type == GROUP:
        said = [message.mark("zh") + headline(part, "zh") for part in message.parts]
        left_out = int(message.data.get("count", len(said))) - len(said)
        said += [f"… +{left_out}"] if left_out > 0 else []
    else:
        said = [
            *lines(message.body, "zh"),
            "",
            message.mark("en") + headline(message.body, "en"),
            *lines(message.body, "en"),
        ]
    links = [f"{LINKS[action]['zh']} {LINKS[action]['en']}: {url}" for action, url in message.links.items()]
    if url := page_of(message.data, message.public_url):
        links.append(url)
    tail = "\n".join(["", *links]) if links else ""
    return Talk(
        message.mark("zh") + headline(message.body, "zh"), "\n".join(said)[: max(LONGEST - len(tail), 200)] + tail
    )
