-- Before and after a renewal: what happened in an area within a span.

-- name: sensors
-- Sensors of a quantity in a zone (NULL: everywhere), at an asset under one of these roads where roads are named.
SELECT s.sensor_id FROM sensor s LEFT JOIN asset a ON a.asset_id = s.asset_id
WHERE s.quantity = %(quantity)s
  AND (%(zone)s::text IS NULL OR EXISTS (
    SELECT FROM zone_sensor m JOIN zone z USING (zone_id) WHERE z.external_id = %(zone)s AND m.sensor_id = s.sensor_id))
  AND (cardinality(%(roads)s::text[]) = 0 OR a.road_class = ANY (%(roads)s))
ORDER BY s.sensor_id

-- name: balance
-- Meters of a zone with their direction.
SELECT f.sensor_id, f.direction FROM zone_flow f JOIN zone z USING (zone_id) WHERE z.external_id = %(zone)s ORDER BY 1

-- name: mean_by_quarter
-- Mean over sensors of each quarter of an hour.
SELECT extract(epoch FROM bucket)::float8, avg(mean) FROM reading_15m
WHERE sensor_id = ANY (%(sensors)s) AND bucket >= %(start)s AND bucket < %(end)s GROUP BY bucket ORDER BY bucket

-- name: ponded_by_quarter
-- Sensors that stood under water in each quarter of an hour, and how many told anything.
SELECT extract(epoch FROM bucket)::float8, count(*) FILTER (WHERE maximum >= %(deep)s)::float8, count(*)::float8 FROM reading_15m
WHERE sensor_id = ANY (%(sensors)s) AND bucket >= %(start)s AND bucket < %(end)s GROUP BY bucket ORDER BY bucket

-- name: night_balance
-- Flow into the area in each quarter of the night hours that all of its meters told, by local date.
SELECT (bucket AT TIME ZONE %(zone_name)s)::date - date '2000-01-01', sum(mean * direction)
FROM reading_15m JOIN unnest(%(sensors)s::int[], %(directions)s::int[]) AS meter (sensor_id, direction) USING (sensor_id)
WHERE bucket >= %(start)s AND bucket < %(end)s AND extract(hour FROM bucket AT TIME ZONE %(zone_name)s) IN (2, 3)
GROUP BY bucket HAVING count(*) = cardinality(%(sensors)s::int[]) ORDER BY bucket

-- name: alerts
-- Risk alerts raised in an area, by rule.
SELECT a.rule, count(*) FROM alert a
WHERE a.kind = 'risk' AND a.raised_at >= %(start)s AND a.raised_at < %(end)s
  AND (%(zone)s::text IS NULL
    OR EXISTS (SELECT FROM zone_asset m JOIN zone z USING (zone_id) WHERE z.external_id = %(zone)s AND m.asset_id = a.asset_id)
    OR EXISTS (SELECT FROM zone_sensor m JOIN zone z USING (zone_id) WHERE z.external_id = %(zone)s AND m.sensor_id = a.sensor_id))
GROUP BY a.rule ORDER BY a.rule

-- name: breaks
-- Breaks on record in an area.
SELECT count(*) FROM asset_break b
WHERE b.at >= %(start)s AND b.at < %(end)s
  AND (%(zone)s::text IS NULL OR EXISTS (
    SELECT FROM zone_asset m JOIN zone z USING (zone_id) WHERE z.external_id = %(zone)s AND m.asset_id = b.asset_id))

-- name: zone_exists
SELECT 1 FROM zone WHERE external_id = %(zone)s
