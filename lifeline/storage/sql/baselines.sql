-- What is normal: the history that teaches, the periods that must not, and what was learned.

-- name: history
-- The last value of each quarter of an hour of some sensors: a single reading, with the noise that readings have; of rain
-- the mean.
SELECT array_agg(r.sensor_id), array_agg(bucket), array_agg(CASE s.quantity WHEN %(averaged)s THEN mean ELSE last END)
FROM reading_15m r JOIN sensor s USING (sensor_id)
WHERE r.sensor_id = ANY(%(sensors)s) AND bucket >= to_timestamp(%(low)s) AND bucket < to_timestamp(%(high)s);

-- name: quarters
-- The same of every sensor for a stretch of time: to fill the detectors' day.
SELECT array_agg(r.sensor_id), array_agg(bucket), array_agg(CASE s.quantity WHEN %(averaged)s THEN mean ELSE last END)
FROM reading_15m r JOIN sensor s USING (sensor_id) WHERE bucket >= to_timestamp(%(low)s) AND bucket < to_timestamp(%(high)s);

-- name: marked
-- Periods in which an alert on a sensor was in alarm: they do not teach.
SELECT sensor_id, rule, extract(epoch FROM first_seen)::float8,
    extract(epoch FROM coalesce(returned_at, closed_at, to_timestamp(%(high)s)))::float8
FROM alert
WHERE sensor_id IS NOT NULL AND coalesce(returned_at, closed_at, to_timestamp(%(high)s)) >= to_timestamp(%(low)s);

-- name: implausible
-- Live readings that moved faster than their quantity can, by sensor, since a time.
SELECT sensor_id, count(*) FROM reading
WHERE ts > to_timestamp(%(low)s) AND quality & (%(implausible)s | %(backlog)s) = %(implausible)s GROUP BY sensor_id;

-- name: save
INSERT INTO baseline (part, version, learned_at, first, last, sensors, ready, content)
VALUES (%(part)s, %(version)s, to_timestamp(%(learned_at)s), to_timestamp(%(first)s), to_timestamp(%(last)s),
    %(sensors)s, %(ready)s, %(content)s);

-- name: save_sensors
INSERT INTO baseline_sensor AS old (sensor_id, part, version, learned_at, days, ready)
SELECT known.sensor_id, %(part)s, %(version)s, to_timestamp(%(learned_at)s), days, ready
FROM unnest(%(sensor_ids)s::integer[], %(days)s::float8[], %(readys)s::boolean[]) AS w (sensor_id, days, ready)
JOIN sensor known USING (sensor_id)
ON CONFLICT (sensor_id) DO UPDATE
SET part = excluded.part, version = excluded.version, learned_at = excluded.learned_at, days = excluded.days,
    ready = excluded.ready;

-- name: forget
-- Of each part the newest versions stay, so that an alert's evidence can still be explained.
DELETE FROM baseline WHERE baseline_id IN (
    SELECT baseline_id FROM (
        SELECT baseline_id, row_number() OVER (PARTITION BY part ORDER BY learned_at DESC, baseline_id DESC) AS age FROM baseline
    ) aged WHERE age > %(kept)s);

-- name: keep_parts
DELETE FROM baseline WHERE part <> ALL(%(parts)s);

-- name: fingerprint
-- Differs when something was learned.
SELECT count(*)::text, coalesce(max(baseline_id), 0)::text FROM baseline;

-- name: newest
-- The newest version of each part.
SELECT DISTINCT ON (part) part, content FROM baseline ORDER BY part, learned_at DESC, baseline_id DESC;

-- name: standing
-- When anything was last learned, and how many sensors are ready, of how many.
SELECT extract(epoch FROM max(learned_at))::float8, count(*) FILTER (WHERE ready), count(*) FROM baseline_sensor;

-- name: overrides
-- Changes to rules that hold, the widest scope first.
SELECT rule, scope, target, limits FROM rule_override
ORDER BY array_position(ARRAY['network', 'asset_kind', 'zone', 'asset', 'sensor'], scope), override_id;
