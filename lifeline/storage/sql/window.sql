-- What the detectors read. Many rows come back as a few arrays in the binary format, which numpy reads without a
-- Python object for each row.

-- name: fingerprint
-- Changes whenever a sensor, a device or an asset does: then the inventory is read again. Of 100,000 assets nobody wants to
-- add up the versions each second: whoever edits one writes a line of history.
SELECT (SELECT (count(*), sum(xmin::text::bigint))::text FROM sensor), (SELECT (count(*), sum(xmin::text::bigint))::text FROM device),
    (SELECT (count(*), max(asset_id))::text FROM asset), (SELECT coalesce(max(history_id), 0)::text FROM inventory_history);

-- name: sensors
-- Every sensor with what rules need to know of it, in the order of its id.
SELECT s.sensor_id, s.device_id, s.quantity, d.network, s.in_service, a.depth_m, s.limits, s.asset_id,
    coalesce(s.longitude, (a.west + a.east) / 2), coalesce(s.latitude, (a.south + a.north) / 2),
    d.external_id || '/' || s.channel
FROM sensor s JOIN device d USING (device_id) LEFT JOIN asset a USING (asset_id)
ORDER BY s.sensor_id;

-- name: assets
-- Every asset that joins others or carries a sensor, in the order of its id.
SELECT asset_id, external_id, network, kind, from_asset, to_asset, length_m, diameter_mm, attributes FROM asset
WHERE from_asset IS NOT NULL OR to_asset IS NOT NULL OR asset_id IN (SELECT asset_id FROM sensor)
ORDER BY asset_id;

-- name: metered_zones
-- Active zones with the meters of their balance, and the sensors that lie in them.
SELECT z.external_id, f.ids, f.ways,
    coalesce((SELECT array_agg(sensor_id ORDER BY sensor_id) FROM zone_sensor s WHERE s.zone_id = z.zone_id), ARRAY[]::integer[])
FROM zone z
JOIN (
    SELECT zone_id, array_agg(sensor_id ORDER BY sensor_id) AS ids, array_agg(direction::integer ORDER BY sensor_id) AS ways
    FROM zone_flow GROUP BY zone_id
) f USING (zone_id)
WHERE z.status = 'active' ORDER BY z.zone_id;

-- name: devices
-- Every device with its gateway and the last word on whether it is connected, in the order of its id.
SELECT d.device_id, d.gateway_id, coalesce(s.status, 'unknown'), extract(epoch FROM s.status_at)::float8
FROM device d LEFT JOIN device_state s USING (device_id)
ORDER BY d.device_id;

-- name: states
-- The newest reading of each sensor: when it was measured, and when it came.
SELECT array_agg(sensor_id), array_agg(ts), array_agg(received_at), array_agg(quality::integer) FROM sensor_state;

-- name: readings_between
-- Every good reading of a stretch of time (low, high]: to fill the window.
SELECT array_agg(sensor_id), array_agg(ts), array_agg(value)
FROM reading WHERE ts > to_timestamp(%(low)s) AND ts <= to_timestamp(%(high)s) AND quality & %(unfit)s = 0;

-- name: readings_of
-- The good readings of some sensors, of each after its own time: what is new, however late it comes.
SELECT array_agg(r.sensor_id), array_agg(r.ts), array_agg(r.value)
FROM unnest(%(sensors)s::integer[], %(since)s::float8[]) AS w (sensor_id, since)
CROSS JOIN LATERAL (
    SELECT sensor_id, ts, value FROM reading
    WHERE reading.sensor_id = w.sensor_id AND ts > to_timestamp(w.since) AND ts > to_timestamp(%(floor)s)
        AND quality & %(unfit)s = 0
) r;
