"""Which 15-minute buckets a batch touched."""

from datetime import datetime

import numpy as np

from lifeline.storage.columns import Int64s
from lifeline.storage.ingest import Readings

BUCKET_US = 900 * 1_000_000
EVERY_SENSOR = 0
MANY = 200
"""So many late sensors of one bucket are noted as every sensor: one row in the place of hundreds in each batch."""


def touched_buckets(readings: Readings, now: datetime) -> tuple[Int64s, Int64s]:
    """(bucket start in microseconds since 1970, sensor id) of each note.

    The present bucket and the one before it are live and noted for every sensor; an older one for those that were late.
    """
    live_from = (round(now.timestamp() * 1_000_000) // BUCKET_US - 1) * BUCKET_US
    first, last = int(readings.ts.min()), int(readings.ts.max())
    if first >= live_from and first // BUCKET_US == last // BUCKET_US:  # nearly always: spare the sort
        return np.array([first // BUCKET_US * BUCKET_US]), np.array([EVERY_SENSOR])
    bucket = readings.ts // BUCKET_US * BUCKET_US
    late = bucket < live_from
    live = np.unique(bucket[~late])
    pairs = np.unique(np.stack([bucket[late], readings.sensor_id[late]]), axis=1)
    buckets, _, counts = np.unique(pairs[0], return_index=True, return_counts=True)
    many = counts > MANY
    single = ~np.repeat(many, counts)
    wide = np.concatenate([live, buckets[many]])
    return (
        np.concatenate([wide, pairs[0][single]]),
        np.concatenate([np.full(len(wide), EVERY_SENSOR, dtype=np.int64), pairs[1][single]]),
    )
