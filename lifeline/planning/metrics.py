"""What planning counts about itself: docs/reference/metrics.md."""

from prometheus_client import Counter, Gauge, Histogram

JOBS = Counter(
    "lifeline_planning_jobs_total",
    "Jobs that this process worked, by how they ended: done, failed, cancelled, or queued (to begin again).",
    ["kind", "result"],
)
JOB_SECONDS = Histogram(
    "lifeline_planning_job_seconds", "Duration of a job.", ["kind"], buckets=(1, 5, 15, 60, 300, 900, 3600, 14_400)
)
RUNNING = Gauge("lifeline_planning_running", "Jobs that this process works now.")
WAITING = Gauge("lifeline_planning_waiting", "Jobs in the queue.")
DATABASE_UP = Gauge("lifeline_planning_database_up", "0 while the database cannot be reached.")
