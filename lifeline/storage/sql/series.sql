-- name: raw
-- The newest readings of a span, as they came, with their quality marks; newest first so that a limit keeps the newest.
SELECT ts, value, quality FROM reading
WHERE sensor_id = %(sensor_id)s AND ts >= %(start)s AND ts < %(end)s
ORDER BY ts DESC LIMIT %(limit)s;

-- name: rolled
-- Buckets of a span: from the roll-up, and from the readings themselves where the roll-up may not have come yet (from its
-- newest bucket on, and the last quarter of an hour in any case), so that the newest data shows. Where both know a bucket
-- the one that saw more readings is right: a roll-up's hour may be half done, and retention may have taken readings away. Where
-- both saw as many it is the roll-up's, as sums of the same numbers in another order may differ in their last digit.
-- Implausible readings (flag 2) enter no figure, as in the roll-ups.
WITH edge AS (
    SELECT greatest(
        date_bin(%(width)s, %(start)s, '2000-01-01 00:00:00+00'),
        least(
            coalesce((SELECT max(bucket) FROM {table} WHERE sensor_id = %(sensor_id)s AND bucket < %(end)s), %(start)s),
            date_bin(%(width)s, %(now)s - interval '20 minutes', '2000-01-01 00:00:00+00')
        )
    ) AS at
), known AS (
    SELECT bucket, n, minimum, maximum, mean, last, 0 AS origin FROM {table}
    WHERE sensor_id = %(sensor_id)s AND bucket < %(end)s
        AND bucket >= date_bin(%(width)s, %(start)s, '2000-01-01 00:00:00+00')
    UNION ALL
    SELECT date_bin(%(width)s, ts, '2000-01-01 00:00:00+00') AS bucket, count(*)::int, min(value), max(value), avg(value),
        (array_agg(value ORDER BY ts DESC))[1], 1
    FROM reading
    WHERE sensor_id = %(sensor_id)s AND ts >= (SELECT at FROM edge) AND ts < %(end)s AND quality & 2 = 0
    GROUP BY 1
), best AS (
    SELECT DISTINCT ON (bucket) bucket, n, minimum, maximum, mean, last FROM known ORDER BY bucket DESC, n DESC, origin
)
SELECT bucket, n, minimum, maximum, mean, last FROM best ORDER BY bucket DESC LIMIT %(limit)s;

-- name: measured
-- Sensors by the names that readings are known by outside.
SELECT s.sensor_id, d.external_id, s.channel, s.quantity, a.external_id
FROM sensor s JOIN device d USING (device_id) LEFT JOIN asset a ON a.asset_id = s.asset_id
WHERE s.sensor_id = ANY (%(sensor_ids)s) ORDER BY s.sensor_id;

-- name: one_moment
-- Every statement of the transaction sees the same readings, and none can write.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: stream
-- Every reading of a span, oldest first, for a cursor.
SELECT ts, value, quality FROM reading
WHERE sensor_id = %(sensor_id)s AND ts >= %(start)s AND ts < %(end)s ORDER BY ts;
