"""What alerts counts about itself: docs/reference/metrics.md."""

from prometheus_client import Counter, Gauge, Histogram

TICK_SECONDS = Histogram(
    "lifeline_alerts_tick_seconds", "Duration of a tick.", buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
)
TICKS = Counter("lifeline_alerts_ticks_total", "Ticks by result: done or failed.", ["result"])
FINDINGS = Gauge("lifeline_alerts_findings", "Findings of the last tick.")
SENSORS = Gauge("lifeline_alerts_sensors", "Sensors that the last tick looked at.")
RAISED = Counter("lifeline_alerts_raised_total", "Alerts raised.", ["rule"])
CHANGED = Counter("lifeline_alerts_changed_total", "Steps that the process took in alerts that were open.", ["rule"])
OPEN = Gauge("lifeline_alerts_open", "Open alerts.", ["network", "kind", "level"])
INCIDENTS_OPEN = Gauge("lifeline_alerts_incidents_open", "Open incidents.", ["level"])
OUTBOX_WAITING = Gauge("lifeline_alerts_outbox_waiting", "Messages that are not fanned out to endpoints yet.")
DELIVERIES_WAITING = Gauge("lifeline_alerts_deliveries_waiting", "Deliveries that are due or wait for another attempt.")
DELIVERIES = Counter(
    "lifeline_alerts_deliveries_total",
    "Attempts by result: delivered, retry (will be tried again) or failed.",
    ["result"],
)
WINDOW_BYTES = Gauge("lifeline_alerts_window_bytes", "Memory of the readings that detectors look at.")
LEADER = Gauge("lifeline_alerts_leader", "1 where this process does the work, 0 where it stands by.")
DATABASE_UP = Gauge("lifeline_alerts_database_up", "0 while the database cannot be reached.")
UPKEEP_SECONDS = Histogram(
    "lifeline_alerts_upkeep_seconds",
    "Duration of roll-ups and retention.",
    ["job"],
    buckets=(0.05, 0.25, 1, 5, 30, 120),
)
PACED = Counter(
    "lifeline_alerts_paced_total",
    "Messages made by the clock: groups (several in one), reminders, escalated (told to the next of a chain).",
    ["what"],
)
