"""Chat channels and mail: which of apprise's addresses an endpoint may have.

apprise knows a hundred services, among them some that run programs or write files; only those that people asked for are
let in. An address holds the channel's key, so it is kept as the endpoint's secret, and ``shown`` is its harmless form.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import apprise

from lifeline.errors import ConfigurationError

CHANNELS: Mapping[str, str] = {
    "dingtalk": "DingTalk 钉钉",
    "wecombot": "WeCom 企业微信",
    "feishu": "Feishu 飞书",
    "lark": "Lark",
    "slack": "Slack",
    "workflows": "Microsoft Teams",
    "mailto": "mail (STARTTLS or plain)",
    "mailtos": "mail (TLS)",
}
"""Schemes of addresses and what they are."""

_READS_FILES = frozenset({"template", "pgpkey", "pgppub", "attach", "config"})


def open_channel(address: str) -> apprise.NotifyBase:
    """The channel at an address, ready to send. Raises ConfigurationError for one that is not allowed."""
    parts = urlsplit(address)
    if parts.scheme.lower() not in CHANNELS:
        raise ConfigurationError(f"a chat channel begins with one of {', '.join(f'{name}://' for name in CHANNELS)}")
    if wrong := sorted(_READS_FILES & {name.lower().lstrip("+-:") for name in parse_qs(parts.query)}):
        raise ConfigurationError(f"a chat channel must not read files: {', '.join(wrong)}")
    # Redirects are not followed: the address that was checked is the one that is spoken to.
    asset = apprise.AppriseAsset(app_id="Lifeline", app_desc="Lifeline", http_redirects=False)
    channel = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if not isinstance(channel, apprise.NotifyBase):
        raise ConfigurationError(
            f"this {parts.scheme}:// address is not complete; the form of each is in docs/reference/webhooks.md"
        )
    return channel


def shown(address: str) -> str:
    """The address without its key, fit for a list. Raises as ``open_channel``."""
    return str(open_channel(address).url(privacy=True)).partition("?")[0]  # type: ignore[no-untyped-call]
