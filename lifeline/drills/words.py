"""What a report says, in Chinese and English. The page has the words of verdicts and steps itself."""

from lifeline.model import JsonObject

VERDICTS = {
    "in_time": ("按时", "in time"),
    "late": ("超时", "late"),
    "missed": ("未完成", "not done"),
    "open": ("未到期", "not due yet"),
}
STEPS = {
    "received": ("已接报", "received"),
    "confirmed": ("已确认", "confirmed"),
    "false_alarm": ("误报", "false alarm"),
    "dispatched": ("已派单", "dispatched"),
    "on_site": ("已到场", "on site"),
    "handled": ("已处置", "handled"),
    "fed_back": ("已反馈", "fed back"),
    "archived": ("已归档", "archived"),
}
HAPPENINGS = {
    "began": ("事件发生", "event begins"),
    "visible": ("数据可见", "visible in the data"),
    "ended": ("事件结束", "event ends"),
    "alert": ("发出预警", "alert"),
    "acknowledged": ("已签收", "acknowledged"),
}
NETWORKS = {"gas": "燃气", "water": "供水", "drainage": "排水"}
LEVELS = {"red": ("红色", "red"), "orange": ("橙色", "orange"), "yellow": ("黄色", "yellow"), "blue": ("蓝色", "blue")}
EVENTS = {
    "gas_leak": ("燃气泄漏", "gas leak"),
    "third_party_damage": ("第三方破坏", "third-party damage"),
    "regulator_drowned": ("调压站被淹", "drowned regulator"),
    "biogas": ("沼气", "biogas"),
    "burst": ("爆管", "burst"),
    "leak": ("供水漏损", "water leak"),
    "valve_closed": ("阀门误关", "closed valve"),
    "contamination": ("水质污染", "contamination"),
    "blockage": ("管道堵塞", "blockage"),
    "inflow": ("外水进入", "inflow"),
    "gully_clogged": ("雨水口堵塞", "clogged gully"),
    "storm": ("暴雨", "storm"),
    "pump_failure": ("水泵故障", "pump failure"),
    "power_cut": ("停电", "power cut"),
    "gateway_dead": ("网关离线", "dead gateway"),
    "silence": ("设备失联", "silent device"),
    "clock_skew": ("时钟偏差", "wrong clock"),
    "garbage": ("乱码", "garbled device"),
    "flatline": ("传感器卡值", "stuck sensor"),
    "noise": ("传感器噪声", "noisy sensor"),
    "drift": ("传感器漂移", "drifting sensor"),
    "jumps": ("传感器跳变", "jumping sensor"),
    "offset": ("数据偏移篡改", "shifted readings"),
    "replay": ("数据重放篡改", "replayed readings"),
}
"""Kinds of event; a scenario's own kind that is not here goes by its name."""

FINDINGS = {
    "event_missed": (
        "未发现:{what} {place}。检查附近是否有传感器、规则限值是否过宽。",
        "Missed: {what} {place}. Look whether a sensor is near, and whether its limits are too wide.",
    ),
    "found_late": (
        "发现偏晚:{what} {place},可见后 {seconds:.0f} 秒(应在 {due:.0f} 秒内)。检查采样间隔与规则延时。",
        "Found late: {what} {place}, {seconds:.0f} s after it could be seen (should be within {due:.0f} s). "
        "Look at sampling intervals and the rule's delay.",
    ),
    "wrong_place": (
        "定位不准:{what} {place}。检查传感器坐标与事件归并。",
        "Wrong place: {what} {place}. Look at the sensors' coordinates and at what was taken for one event.",
    ),
    "wrong_cause": (
        "原因判断有误:{what} {place}。检查成因规则。",
        "Wrong cause: {what} {place}. Look at the rules of causes.",
    ),
    "wrong_level": (
        "等级不当:{what} {place}。检查分级限值。",
        "Wrong level: {what} {place}. Look at the limits of the levels.",
    ),
    "false_alerts": (
        "误报 {count} 条:{what}。调整限值或以反馈训练。",
        "{count} false alerts: {what}. Adjust the limits, or teach the rules by feedback.",
    ),
    "nobody_answered": (
        "无人接报:{place}({level}),{seconds:.0f} 秒,时限 {due:.0f} 秒。检查值班安排与通知端点。",
        "Nobody answered: {place} ({level}), {seconds:.0f} s against {due:.0f} s. Look at roster and endpoints.",
    ),
    "step_late": (
        "“{step}”之后超时:{place}({level}){team},{seconds:.0f} 秒,时限 {due:.0f} 秒。",
        "Too long after “{step}”: {place} ({level}) {team}, {seconds:.0f} s against {due:.0f} s.",
    ),
    "task_late": ("任务超时:{team}:{what}。", "Task late: {team}: {what}."),
    "task_missed": (
        "任务未完成:{team}:{what}。明确责任人并再次演练。",
        "Task not done: {team}: {what}. Name who does it, and drill it again.",
    ),
    "task_untried": (
        "任务未练到:{team}:{what}。换一个会用到它的情景。",
        "Task not tried: {team}: {what}. Choose a scenario that calls for it.",
    ),
    "undelivered": (
        "{count} 条消息未送达:{what}。检查端点地址与网络。",
        "{count} messages not delivered: {what}. Look at the endpoint's address and the network.",
    ),
}


def title_of(kind: str) -> dict[str, str]:
    """What a kind of event is called."""
    zh, en = EVENTS.get(kind, (kind, kind))
    return {"zh": zh, "en": en}


def told(finding: JsonObject) -> tuple[str, str]:
    """A finding in Chinese and English."""
    return _in(0, finding), _in(1, finding)


def _in(language: int, finding: JsonObject) -> str:
    """A finding in Chinese (0) or English (1); ``what`` may be a step, a kind of event, or words of the city's own."""
    what, level = str(finding.get("what")), str(finding.get("level", ""))
    values = {"place": "", "team": "", **finding, "step": STEPS.get(what, ("", ""))[language]}
    values["what"] = EVENTS.get(what, (what, what))[language]
    values["level"] = LEVELS.get(level, ("", ""))[language]
    return FINDINGS[str(finding["kind"])][language].format(**values)
