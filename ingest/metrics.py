"""What ingest tells Prometheus. The counters start at zero with the process; the table ingest_account is the truth."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Every metric of the process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = self._counter("received", "Readings received (an unreadable message counts as one).")
        self.stored = self._counter("stored", "Readings stored.")
        self.duplicate = self._counter("duplicate", "Readings that were stored before.")
        self.quarantined = Counter(
            "lifeline_ingest_quarantined", "Readings in quarantine.", ["reason"], registry=self.registry
        )
        self.messages = self._counter("messages", "MQTT messages committed.")
        self.batches = self._counter("batches", "Batches committed.")
        self.batch_seconds = Histogram(
            "lifeline_ingest_batch_seconds",
            "Seconds from taking up a batch to its commit.",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30),
            registry=self.registry,
        )
        self.pending = self._gauge("pending", "Messages held and not acknowledged yet.")
        self.lag = self._gauge("lag_seconds", "Age of the oldest message of the last batch when it was committed.")
        self.reconnects = self._counter("reconnects", "Connections to the broker after the first.")
        self.database_retries = self._counter("database_retries", "Batches tried again, the database being away.")
        self.broker_connected = self._gauge("broker_connected", "1 while subscribed at the broker.")
        self.database_connected = self._gauge("database_connected", "1 while the last statement went through.")

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"lifeline_ingest_{name}", text, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"lifeline_ingest_{name}", text, registry=self.registry)
