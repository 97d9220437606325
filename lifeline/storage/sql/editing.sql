-- Edits of single things, by engineers through the API and by `lifeline assets`, `sensors` and `zones`.

-- name: pipes_at
-- Assets in service that end at an asset, by whether it is in service itself; the first few by name, and how many.
SELECT coalesce((array_agg(external_id ORDER BY external_id))[1:5], '{}'), count(*) FROM asset
WHERE (from_asset = %(id)s OR to_asset = %(id)s) AND (in_service OR NOT %(serving)s)

-- name: sensors_at
-- Sensors that measure an asset: the first few by name, and how many.
SELECT coalesce((array_agg(device.external_id || '/' || channel ORDER BY device.external_id, channel))[1:5], '{}'), count(*)
FROM sensor JOIN device USING (device_id) WHERE asset_id = %(id)s AND (sensor.in_service OR NOT %(serving)s)

-- name: retired_ends
-- Ends of an asset that are out of service.
SELECT external_id FROM asset WHERE NOT in_service
    AND asset_id IN (SELECT unnest(ARRAY[from_asset, to_asset]) FROM asset WHERE asset_id = %(id)s) ORDER BY external_id

-- name: foreign_neighbours
-- Assets of another network to which an asset is joined.
SELECT other.external_id, other.network FROM asset AS mine JOIN asset AS other
    ON other.asset_id IN (mine.from_asset, mine.to_asset) OR mine.asset_id IN (other.from_asset, other.to_asset)
WHERE mine.asset_id = %(id)s AND other.network <> mine.network ORDER BY other.external_id LIMIT 5

-- name: asset_number
SELECT asset_id, in_service FROM asset WHERE external_id = %(name)s

-- name: asset_records
-- What happened to an asset and names it: it could not be told any more without its row.
SELECT (SELECT count(*) FROM alert WHERE asset_id = %(id)s OR (subject_kind = 'asset' AND subject_id = %(id)s)),
    (SELECT count(*) FROM maintenance_window WHERE asset_id = %(id)s),
    (SELECT count(*) FROM asset_break WHERE asset_id = %(id)s)

-- name: remove_asset
DELETE FROM asset WHERE asset_id = %(id)s

-- name: sensor_number
SELECT sensor_id FROM sensor JOIN device USING (device_id) WHERE external_id = %(device)s AND channel = %(channel)s

-- name: sensor_name
SELECT device.external_id || '/' || channel FROM sensor JOIN device USING (device_id) WHERE sensor_id = %(id)s

-- name: sensor_records
SELECT EXISTS (SELECT FROM reading WHERE sensor_id = %(id)s)::integer
        + EXISTS (SELECT FROM reading_1d WHERE sensor_id = %(id)s)::integer,
    (SELECT count(*) FROM alert WHERE sensor_id = %(id)s OR (subject_kind = 'sensor' AND subject_id = %(id)s)),
    (SELECT count(*) FROM maintenance_window WHERE sensor_id = %(id)s)

-- name: remove_sensor
DELETE FROM sensor WHERE sensor_id = %(id)s

-- name: zone_uses
-- Assets whose own record names a zone: the first few, and how many.
SELECT coalesce((array_agg(external_id ORDER BY external_id))[1:5], '{}'), count(*) FROM asset
WHERE attributes -> 'zone' @> to_jsonb(%(name)s::text)

-- name: remove_zone
-- With the parts of meters in its balance.
DELETE FROM zone WHERE external_id = %(name)s

-- name: device
SELECT device.device_id, device.external_id, device.network, device.name, gateway.external_id, device.longitude,
    device.latitude, device.in_service
FROM device LEFT JOIN device AS gateway ON gateway.device_id = device.gateway_id
WHERE device.external_id = %(name)s

-- name: store_device
INSERT INTO device (external_id, network, name, gateway_id, longitude, latitude, in_service)
VALUES (%(id)s, %(network)s, %(name)s, (SELECT device_id FROM device WHERE external_id = %(gateway)s), %(longitude)s,
    %(latitude)s, %(in_service)s)
ON CONFLICT (external_id) DO UPDATE SET name = excluded.name, gateway_id = excluded.gateway_id,
    longitude = excluded.longitude, latitude = excluded.latitude, in_service = excluded.in_service

-- name: behind
-- Whether a device is behind another, over any number of gateways.
WITH RECURSIVE way AS (
    SELECT device_id, gateway_id FROM device WHERE external_id = %(device)s
    UNION SELECT device.device_id, device.gateway_id FROM device JOIN way ON device.device_id = way.gateway_id
)
SELECT EXISTS (SELECT FROM way JOIN device USING (device_id) WHERE external_id = %(gateway)s AND external_id <> %(device)s)

-- name: device_uses
-- Sensors of a device, devices behind it, alerts and windows that name it.
SELECT (SELECT count(*) FROM sensor WHERE device_id = %(id)s),
    (SELECT count(*) FROM device WHERE gateway_id = %(id)s),
    (SELECT count(*) FROM alert WHERE device_id = %(id)s OR (subject_kind = 'device' AND subject_id = %(id)s)),
    (SELECT count(*) FROM maintenance_window WHERE device_id = %(id)s)

-- name: remove_device
DELETE FROM device WHERE device_id = %(id)s

-- name: announce
SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')

-- name: history
-- Newest changes first, of one thing or of all.
SELECT history_id, at, actor, action, what, external_id, detail FROM inventory_history
WHERE (%(what)s::text IS NULL OR what = %(what)s) AND (%(name)s::text IS NULL OR external_id = %(name)s)
    AND (%(before)s::bigint IS NULL OR history_id < %(before)s)
ORDER BY history_id DESC LIMIT %(limit)s
