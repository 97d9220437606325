"""A message in words, Chinese or English, short enough for a phone."""

from collections.abc import Mapping
from typing import Any, Literal

Language = Literal["zh", "en"]

LEVELS = {
    "red": {"zh": "一级(红)", "en": "I red"},
    "orange": {"zh": "二级(橙)", "en": "II orange"},
    "yellow": {"zh": "三级(黄)", "en": "III yellow"},
    "blue": {"zh": "四级(蓝)", "en": "IV blue"},
}
TYPES = {
    "alert.raised": {"zh": "报警", "en": "Alert"},
    "alert.escalated": {"zh": "升级", "en": "Worse"},
    "alert.deescalated": {"zh": "降级", "en": "Milder"},
    "alert.acknowledged": {"zh": "已确认收到", "en": "Acknowledged"},
    "alert.cleared": {"zh": "恢复正常", "en": "Back to normal"},
    "alert.shelved": {"zh": "已搁置", "en": "Shelved"},
    "alert.closed": {"zh": "已关闭", "en": "Closed"},
    "alert.reminder": {"zh": "未确认提醒", "en": "Still unacknowledged"},
    "alert.unattended": {"zh": "逐级上报:无人确认", "en": "Nobody has acknowledged"},
    "alert.group": {"zh": "多条消息", "en": "Several messages"},
    "incident.opened": {"zh": "事件", "en": "Incident"},
    "incident.updated": {"zh": "事件进展", "en": "Incident changed"},
    "incident.acknowledged": {"zh": "事件已有人处理", "en": "Incident taken"},
    "incident.cleared": {"zh": "事件恢复正常", "en": "Incident back to normal"},
    "incident.shelved": {"zh": "事件已搁置", "en": "Incident shelved"},
    "incident.reminder": {"zh": "事件未确认提醒", "en": "Incident still unacknowledged"},
    "incident.unattended": {"zh": "逐级上报:事件无人确认", "en": "Nobody has taken the incident"},
    "incident.closed": {"zh": "事件结束", "en": "Incident over"},
    "sensor.offline": {"zh": "离线", "en": "Offline"},
    "sensor.online": {"zh": "恢复在线", "en": "Online again"},
    "response.changed": {"zh": "处置进展", "en": "Response"},
    "response.overdue": {"zh": "处置超时", "en": "Response overdue"},
    "endpoint.test": {"zh": "测试消息", "en": "Test message"},
}
STEPS = {
    "received": {"zh": "已接收", "en": "received"},
    "confirmed": {"zh": "已核实", "en": "confirmed"},
    "false_alarm": {"zh": "误报", "en": "false alarm"},
    "dispatched": {"zh": "已派单", "en": "dispatched"},
    "on_site": {"zh": "已到场", "en": "on site"},
    "handled": {"zh": "已处置", "en": "handled"},
    "fed_back": {"zh": "已反馈", "en": "fed back"},
    "archived": {"zh": "已归档", "en": "archived"},
}
LINKS = {
    "acknowledge": {"zh": "确认收到", "en": "Acknowledge"},
    "feed_back": {"zh": "反馈", "en": "Feed back"},
    **STEPS,
}


def title_of(data: Mapping[str, Any], language: Language) -> str:
    """What happened: the rule's title, or its id."""
    title = data.get("title")
    if isinstance(title, Mapping) and title.get(language):
        return str(title[language])
    return str(data.get("rule") or data.get("group") or "Lifeline")


def place_of(data: Mapping[str, Any]) -> str:
    """Where: the asset's name, else the sensor's or the device's; empty where nothing has a name."""
    where = data.get("where") or {}
    names = ("asset_name", "asset", "sensor_name", "device_name", "device")
    return next((str(where[name]) for name in names if where.get(name)), "")


def headline(body: Mapping[str, Any], language: Language) -> str:
    """Kind of message, level, what and where in one line."""
    data = body["data"]
    kind = TYPES.get(body["type"], {}).get(language, body["type"])
    level = LEVELS.get(data.get("level") or "", {}).get(language, "")
    what = title_of(data, language)
    place = place_of(data)
    head = f"[{level}] {kind}" if level else kind
    return f"{head}: {what}{' · ' if place else ''}{place}"


def measured(data: Mapping[str, Any], language: Language) -> str:
    """Measured against expected, as far as the evidence says; empty where it does not."""
    evidence = data.get("evidence") or {}
    value, unit = evidence.get("value"), evidence.get("unit") or ""
    if value is None:
        return ""
    text = f"{'实测' if language == 'zh' else 'Measured'} {value:g} {unit}" if _number(value) else ""
    peak = evidence.get("peak")
    if text and _number(peak) and peak != value:  # a swinging value may be within the limit at this very moment
        furthest = ("最低", "lowest") if evidence.get("condition") == "below" else ("最高", "highest")
        text += f"{',' + furthest[0] if language == 'zh' else ', ' + furthest[1]} {peak:g} {unit}"
    limit = evidence.get("limit", evidence.get("expected"))
    if text and _number(limit):
        text += f"{',限值/预期' if language == 'zh' else ', limit or expected'} {limit:g} {unit}"
    return text.strip()


def explained(data: Mapping[str, Any], language: Language) -> str:
    """How many alerts an incident explains, and what speaks for its likeliest cause; empty for an alert."""
    causes = (data.get("evidence") or {}).get("causes") or []
    if not causes:
        return ""
    count = f"{data.get('count', 0)} 条报警" if language == "zh" else f"{data.get('count', 0)} alerts"
    reasons = [str(sign["why"][language]) for sign in causes[0]["for"][:3]]
    return f"{count}:{';'.join(reasons)}" if language == "zh" else f"{count}: {'; '.join(reasons)}"


def advice_of(data: Mapping[str, Any], language: Language) -> str:
    """What to do; empty where the rule has no words for it."""
    advice = data.get("advice")
    return str(advice.get(language) or "") if isinstance(advice, Mapping) else ""


def lines(body: Mapping[str, Any], language: Language) -> list[str]:
    """What else there is to say, a line each: measured, step of response, note, advice."""
    data = body["data"]
    response = data.get("response") or {}
    step = STEPS.get(response.get("step") or "", {}).get(language, "")
    team = response.get("team") or ""
    said = [
        measured(data, language),
        explained(data, language),
        f"{'处置环节' if language == 'zh' else 'Step'}: {step}{' · ' if team else ''}{team}" if step else "",
        str(data.get("note") or "")[:500],
        advice_of(data, language),
    ]
    return [line for line in said if line]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
