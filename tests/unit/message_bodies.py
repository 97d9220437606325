"""Messages as they stand in the outbox, for tests of their formats."""

from typing import Any

from lifeline.messages.message import Message, Reference

AT = "2026-11-21T12:00:05.123456+00:00"


def body(event: str = "alert.raised", **data: Any) -> dict[str, Any]:
    """The body of a message about alert 42: methane in Chamber 7."""
    return {
        "type": event,
        "timestamp": AT,
        "data": {
            "alert_id": 42, "version": 1, "network": "gas", "kind": "risk", "level": "orange", "state": "UNACK",
            "rule": "methane.level", "rule_version": "3f1c0a9b2d77", "actor": "detector", "note": "",
            "title": {"en": "Methane in a chamber", "zh": "井室甲烷浓度超限"},
            "advice": {"en": "No ignition source", "zh": "严禁火源"},
            "where": {"asset": "K-7", "asset_name": "Chamber 7", "device": "rtu-1", "device_name": "",
                      "channel": "methane", "sensor_name": "", "longitude": 117.27, "latitude": 31.86},
            "evidence": {"detector": "threshold", "quantity": "methane", "unit": "%VOL", "limit": 1.0, "value": 1.2},
            "first_seen": "2026-11-21T12:00:01+00:00", "raised_at": AT, **data,
        },
    }  # fmt: skip


def message(event: str = "alert.raised", references: tuple[Reference, ...] = (), **data: Any) -> Message:
    """The same on its way to the endpoint ``crew``."""
    return Message("msg_1", body(event, **data), "crew", "lifeline@city", "https://city.example", "Actual", references)


def group(*bodies: dict[str, Any], count: int | None = None) -> Message:
    """Several in one."""
    data = {"alert_id": None, "group": "gas / methane.level", "level": "orange", "count": count or len(bodies)}
    content = {"type": "alert.group", "timestamp": AT, "data": data | {"messages": list(bodies)}}
    return Message("msg_9", content, "crew", "lifeline@city", "https://city.example")
