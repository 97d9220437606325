-- Roll-ups. A note says which 15-minute bucket a batch touched; a bucket is computed anew when it has closed.

-- name: lock
-- One job at a time, until the end of the transaction: an older computation must not overwrite a newer one.
SELECT pg_try_advisory_xact_lock(%(lock)s)

-- name: oldest_hour
-- The oldest hour with a noted bucket that has closed.
SELECT date_bin('1 hour', min(bucket), '2000-01-01 00:00:00+00') FROM rollup_note WHERE bucket <= %(newest)s

-- name: take
-- Takes the notes of the hour. Under READ COMMITTED the statements that follow see every reading that these notes stand
-- for; a batch that commits from here on leaves a note of its own behind for the next run.
WITH taken AS (
    DELETE FROM rollup_note WHERE bucket >= %(hour)s AND bucket < %(hour)s + interval '1 hour' AND bucket <= %(newest)s
    RETURNING bucket, sensor_id
)
SELECT bucket, array_agg(DISTINCT sensor_id) FROM taken GROUP BY bucket ORDER BY bucket

-- name: compute_15m
-- One bucket of the listed sensors (NULL: of every sensor) from the readings themselves; gives the sensors whose figures
-- changed. LATERAL, so that each sensor costs one look into the key (sensor_id, ts) however large the chunk is. A bucket
-- gains readings and never loses any, but for retention: a smaller count means that the readings are gone, and then the
-- roll-up stays as it was.
WITH written AS (
    INSERT INTO reading_15m AS old (sensor_id, bucket, n, minimum, maximum, mean, last)
    SELECT wanted.sensor_id, %(start)s, n, minimum, maximum, mean, last
    FROM (
        SELECT sensor_id FROM sensor WHERE %(sensors)s::integer[] IS NULL
        UNION ALL SELECT unnest(%(sensors)s::integer[])
    ) AS wanted
    CROSS JOIN LATERAL (
        SELECT count(*) AS n, min(value) AS minimum, max(value) AS maximum, avg(value) AS mean, last(value, ts) AS last
        FROM reading
        WHERE reading.sensor_id = wanted.sensor_id AND ts >= %(start)s AND ts < %(start)s + interval '15 minutes'
            AND quality & %(implausible)s = 0
    ) AS computed
    WHERE n > 0
    ON CONFLICT (sensor_id, bucket) DO UPDATE
    SET n = excluded.n, minimum = excluded.minimum, maximum = excluded.maximum, mean = excluded.mean, last = excluded.last
    WHERE excluded.n > old.n
    RETURNING sensor_id
)
SELECT coalesce(array_agg(sensor_id), '{}') FROM written

-- name: compute_1h
-- One hour of the listed sensors from its quarters; an hour changes when one of its quarters does.
INSERT INTO reading_1h AS old (sensor_id, bucket, n, minimum, maximum, mean, last)
SELECT wanted.sensor_id, %(start)s, n, minimum, maximum, mean, last
FROM unnest(%(sensors)s::integer[]) AS wanted (sensor_id)
CROSS JOIN LATERAL (
    SELECT sum(n) AS n, min(minimum) AS minimum, max(maximum) AS maximum, sum(mean * n) / sum(n) AS mean,
           last(last, bucket) AS last
    FROM reading_15m
    WHERE reading_15m.sensor_id = wanted.sensor_id AND bucket >= %(start)s AND bucket < %(start)s + interval '1 hour'
) AS computed
ON CONFLICT (sensor_id, bucket) DO UPDATE
SET n = excluded.n, minimum = excluded.minimum, maximum = excluded.maximum, mean = excluded.mean, last = excluded.last

-- name: compute_1d
-- One day (UTC) of the listed sensors from its hours.
INSERT INTO reading_1d AS old (sensor_id, bucket, n, minimum, maximum, mean, last)
SELECT wanted.sensor_id, %(start)s, n, minimum, maximum, mean, last
FROM unnest(%(sensors)s::integer[]) AS wanted (sensor_id)
CROSS JOIN LATERAL (
    SELECT sum(n) AS n, min(minimum) AS minimum, max(maximum) AS maximum, sum(mean * n) / sum(n) AS mean,
           last(last, bucket) AS last
    FROM reading_1h
    WHERE reading_1h.sensor_id = wanted.sensor_id AND bucket >= %(start)s AND bucket < %(start)s + interval '1 day'
) AS computed
ON CONFLICT (sensor_id, bucket) DO UPDATE
SET n = excluded.n, minimum = excluded.minimum, maximum = excluded.maximum, mean = excluded.mean, last = excluded.last
