"""What the API counts, for Prometheus. docs/reference/metrics.md describes each."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("lifeline_api_requests", "Answers, by route, method and status.", ["route", "method", "status"])
SECONDS = Histogram(
    "lifeline_api_request_seconds",
    "Time to answer, by route; live streams are not in it.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
REFUSED_KEYS = Counter("lifeline_api_refused_keys", "Keys that were not valid.")
REFUSED_LOGINS = Counter("lifeline_api_refused_logins", "Log-ins with a wrong password or link, or made to wait.")
LIVE_CLIENTS = Gauge("lifeline_api_live_clients", "Open live streams.")
CHANGES = Counter("lifeline_api_changes", "Change notices heard from the database, by what changed.", ["what"])
MAP_SECONDS = Histogram(
    "lifeline_api_map_build_seconds",
    "Time to draw the risk map, by whether the inventory was read anew.",
    ["ground"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
MAP_BUILT = Gauge("lifeline_api_map_built_timestamp_seconds", "When the risk map was drawn last.")
FRAMES = Counter("lifeline_api_map_frames", "Drawings of the risk map that were recorded, by kind.", ["kind"])
FRAMES_LOST = Counter("lifeline_api_map_frames_lost", "Drawings not recorded: the database was away too long.")
MAP_FAILURES = Counter("lifeline_api_map_failures", "Drawings of the risk map that failed and are tried again.")
