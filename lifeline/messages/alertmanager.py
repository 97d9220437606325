"""Alerts as Prometheus Alertmanager tells them: the webhook body, version 4, and an alert of its HTTP API v2.

Both carry the same labels and the same fingerprint, so that a tool that hears of an alert finds it again when it asks.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lifeline.messages.message import OVER, Encoded, Message, compact, page_of, subject_of
from lifeline.messages.words import advice_of, headline, lines, title_of
from lifeline.model import AlertState, JsonObject

NEVER = "0001-01-01T00:00:00Z"
"""Alertmanager's ``endsAt`` of what still fires."""
SEVERITIES = {"red": "critical", "orange": "critical", "yellow": "warning", "blue": "info"}
RESOLVE_TIMEOUT = timedelta(minutes=5)
"""``endsAt`` of the API v2 lies so far ahead while an alert fires, as with a real Alertmanager."""
SILENCED_BY = {AlertState.SHLVD: "lifeline-shelved", AlertState.OOSRV: "lifeline-out-of-service"}
INHIBITED_BY = {AlertState.DSUPR: "lifeline-suppressed-by-design"}
RECEIVER = "lifeline"


def encode(message: Message) -> Encoded:
    """One alert, or those of a group, the newest message of each. ``fingerprint`` is the alert's for its whole life."""
    newest: dict[Any, JsonObject] = {}
    for part in message.parts:
        newest.setdefault(subject_of(part["data"]), part)
    alerts = [_alert(part, message) for part in newest.values()]
    labels = _common([alert["labels"] for alert in alerts])
    group = {name: labels[name] for name in ("alertname", "network") if name in labels}
    key = ", ".join(f'{name}="{value}"' for name, value in group.items())
    body = {
        "version": "4",
        "groupKey": f"{{}}:{{{key}}}",
        "truncatedAlerts": max(int(message.data.get("count", 0)) - len(message.parts), 0),
        "status": "resolved" if all(alert["status"] == "resolved" for alert in alerts) else "firing",
        "receiver": message.endpoint,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": message.public_url,
        "alerts": alerts,
    }
    return Encoded(compact(body), "application/json")


def gettable(body: JsonObject, state: AlertState, updated_at: datetime, now: datetime, public_url: str) -> JsonObject:
    """An open alert as ``gettableAlert`` of Alertmanager's API v2. ``body``: the message that would tell of it now."""
    told = _alert(body, Message("", body, public_url=public_url))
    silenced, inhibited = SILENCED_BY.get(state), INHIBITED_BY.get(state)
    found = {
        "annotations": told["annotations"],
        "endsAt": (now + RESOLVE_TIMEOUT).isoformat(),
        "fingerprint": told["fingerprint"],
        "receivers": [{"name": RECEIVER}],
        "startsAt": told["startsAt"],
        "status": {
            "inhibitedBy": [inhibited] if inhibited else [],
            "mutedBy": [],
            "silencedBy": [silenced] if silenced else [],
            "state": "suppressed" if silenced or inhibited else "active",
        },
        "updatedAt": updated_at.isoformat(),
        "labels": told["labels"],
    }
    return found | ({"generatorURL": told["generatorURL"]} if told["generatorURL"] else {})


def _alert(body: JsonObject, message: Message) -> JsonObject:
    data = body["data"]
    where = data.get("where") or {}
    level = data.get("level") or "blue"
    over = body["type"] in OVER
    labels = {
        "alertname": data.get("rule") or body["type"],
        "network": data.get("network"),
        "kind": data.get("kind"),
        "level": level,
        "severity": SEVERITIES[level],
        "asset": where.get("asset"),
        "device": where.get("device"),
        "channel": where.get("channel"),
        "status": "" if message.status == "Actual" else message.status.lower(),
    }
    annotations = {
        "event": body["type"],
        "summary": message.mark("zh") + headline(body, "zh"),
        "summary_en": message.mark("en") + headline(body, "en"),
        "description": "\n".join(lines(body, "zh"))[:4000],
        "title": title_of(data, "zh"),
        "advice": advice_of(data, "zh"),
        "advice_en": advice_of(data, "en"),
        **({f"link_{action}": url for action, url in message.links.items()}),
    }
    return {
        "status": "resolved" if over else "firing",
        "labels": _texts(labels),
        "annotations": _texts(annotations),
        "startsAt": data.get("raised_at") or body["timestamp"],
        "endsAt": body["timestamp"] if over else NEVER,
        "generatorURL": page_of(data, message.public_url),
        "fingerprint": hashlib.sha256(subject_of(data).encode()).hexdigest()[:16],
    }


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def _common(each: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: value for name, value in each[0].items() if all(one.get(name) == value for one in each)}
