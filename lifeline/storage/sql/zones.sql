-- Zones, what lies in them, and which meters balance them. Written by `lifeline import` and by the API for engineers.

-- name: stage_zones
CREATE TEMPORARY TABLE staged_zone (
    position integer NOT NULL,
    external_id text NOT NULL,
    kind text NOT NULL,
    network text,
    name text NOT NULL,
    geometry jsonb NOT NULL,
    west double precision NOT NULL,
    south double precision NOT NULL,
    east double precision NOT NULL,
    north double precision NOT NULL,
    attributes jsonb NOT NULL,
    source text NOT NULL,
    status text NOT NULL
) ON COMMIT DROP

-- name: copy_zones
COPY staged_zone FROM STDIN

-- name: store_zones
-- Number of each zone that is new or has changed, and whether it is new; rows that are as they were are not touched.
-- The source stays: it says who made the zone, and not who wrote it last.
INSERT INTO zone (external_id, kind, network, name, geometry, west, south, east, north, attributes, source, status, updated_at)
SELECT external_id, kind, network, name, geometry, west, south, east, north, attributes, source, status, %(now)s
FROM staged_zone ORDER BY position
ON CONFLICT (external_id) DO UPDATE SET
    kind = excluded.kind, network = excluded.network, name = excluded.name, geometry = excluded.geometry,
    west = excluded.west, south = excluded.south, east = excluded.east, north = excluded.north,
    attributes = excluded.attributes, status = excluded.status, updated_at = excluded.updated_at
WHERE (zone.kind, zone.network, zone.name, zone.geometry, zone.attributes, zone.status) IS DISTINCT FROM
      (excluded.kind, excluded.network, excluded.name, excluded.geometry, excluded.attributes, excluded.status)
RETURNING zone_id, xmax = 0 AS is_new

-- name: unstage_zones
DROP TABLE staged_zone

-- name: shapes_of_zones
-- Every zone that can hold something, or those that are named.
SELECT zone_id, network, kind, geometry::text FROM zone
WHERE status <> 'rejected' AND (%(zones)s::integer[] IS NULL OR zone_id = ANY (%(zones)s)) ORDER BY zone_id

-- name: shapes_of_assets
-- Every asset in service, or those that are named; `named` says that the asset's own record names its DMA.
SELECT asset_id, network, geometry::text, attributes ? 'zone' AS named FROM asset
WHERE in_service AND (%(assets)s::bigint[] IS NULL OR asset_id = ANY (%(assets)s)) ORDER BY asset_id

-- name: forget_zone_assets
DELETE FROM zone_asset WHERE zone_id = ANY (%(zones)s) OR asset_id = ANY (%(assets)s)

-- name: copy_zone_assets
COPY zone_asset (zone_id, asset_id, share) FROM STDIN

-- name: name_zone_assets
-- DMAs that the assets' own records name, one or a list.
INSERT INTO zone_asset (zone_id, asset_id, share)
SELECT zone.zone_id, asset.asset_id, 1
FROM asset
CROSS JOIN LATERAL jsonb_array_elements_text(
    CASE jsonb_typeof(asset.attributes -> 'zone') WHEN 'array' THEN asset.attributes -> 'zone'
         ELSE jsonb_build_array(asset.attributes -> 'zone') END) AS named (external_id)
JOIN zone ON zone.external_id = named.external_id AND zone.status <> 'rejected' AND zone.kind = 'dma'
    AND (zone.network IS NULL OR zone.network = asset.network)
WHERE asset.in_service AND asset.attributes ? 'zone' AND (asset_id = ANY (%(assets)s) OR zone_id = ANY (%(zones)s))
ON CONFLICT DO NOTHING

-- name: forget_zone_sensors
DELETE FROM zone_sensor WHERE zone_id = ANY (%(zones)s) OR sensor_id = ANY (%(sensors)s)

-- name: places_of_sensors
-- Where each sensor stands (itself, else its asset, else its device); NULL where nobody knows.
SELECT sensor_id, device.network, coalesce(sensor.longitude, (asset.west + asset.east) / 2, device.longitude),
    coalesce(sensor.latitude, (asset.south + asset.north) / 2, device.latitude), coalesce(asset.attributes ? 'zone', false)
FROM sensor JOIN device USING (device_id) LEFT JOIN asset USING (asset_id)
WHERE %(sensors)s::integer[] IS NULL OR sensor_id = ANY (%(sensors)s)
ORDER BY sensor_id

-- name: copy_zone_sensors
COPY zone_sensor (zone_id, sensor_id) FROM STDIN

-- name: name_zone_sensors
-- A sensor is in the DMAs that the record of its asset names.
INSERT INTO zone_sensor (zone_id, sensor_id)
SELECT zone_id, sensor_id
FROM sensor JOIN asset USING (asset_id) JOIN zone_asset USING (asset_id) JOIN zone USING (zone_id)
WHERE asset.attributes ? 'zone' AND zone.kind = 'dma' AND (sensor_id = ANY (%(sensors)s) OR zone_id = ANY (%(zones)s))
ON CONFLICT DO NOTHING

-- name: zones
-- A page of zones in order of their id, with how much lies in each: of what the asker sees, so through asset and sensor.
SELECT zone_id, external_id, kind, network, name, geometry, attributes, source, status, updated_at,
    (SELECT count(*) FROM zone_asset JOIN asset USING (asset_id) WHERE zone_asset.zone_id = zone.zone_id),
    (SELECT count(*) FROM zone_sensor JOIN sensor USING (sensor_id) WHERE zone_sensor.zone_id = zone.zone_id),
    (SELECT coalesce(sum(asset.length_m * share), 0)::float8 FROM zone_asset JOIN asset USING (asset_id)
     WHERE zone_asset.zone_id = zone.zone_id AND asset.kind = 'pipe'),
    (SELECT coalesce(jsonb_object_agg(device.external_id || '/' || sensor.channel, direction), '{}')
     FROM zone_flow JOIN sensor USING (sensor_id) JOIN device USING (device_id) WHERE zone_flow.zone_id = zone.zone_id)
FROM zone
WHERE zone_id > %(after)s
    AND (%(external_id)s::text IS NULL OR external_id = %(external_id)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(network)s::text IS NULL OR network IS NULL OR network = %(network)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(west)s::float8 IS NULL
        OR (east >= %(west)s AND west <= %(east)s AND north >= %(south)s AND south <= %(north)s))
ORDER BY zone_id LIMIT %(limit)s

-- name: assets_of_zone
-- What lies in a zone, by external id, with its share.
SELECT asset.external_id, share FROM zone_asset JOIN asset USING (asset_id) JOIN zone USING (zone_id)
WHERE zone.external_id = %(zone)s ORDER BY asset.external_id

-- name: zones_of_asset
SELECT zone.external_id, share FROM zone_asset JOIN zone USING (zone_id) JOIN asset USING (asset_id)
WHERE asset.external_id = %(asset)s ORDER BY zone.kind, zone.external_id

-- name: announce
SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')
