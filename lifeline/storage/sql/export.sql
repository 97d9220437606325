-- The inventory as its files have it: for `lifeline export`, for edits and for the history of them.

-- name: assets
SELECT asset.external_id, asset.network, asset.kind, asset.name, a.external_id, b.external_id, asset.material,
    asset.diameter_mm, asset.install_year, asset.length_m, asset.depth_m, asset.customers, asset.critical, asset.road_class,
    asset.street, asset.soil, asset.condition, asset.in_service, asset.attributes, asset.geometry
FROM asset
LEFT JOIN asset AS a ON a.asset_id = asset.from_asset
LEFT JOIN asset AS b ON b.asset_id = asset.to_asset
WHERE (%(name)s::text IS NULL OR asset.external_id = %(name)s)
    AND (%(network)s::text IS NULL OR asset.network = %(network)s)
    AND (%(west)s::float8 IS NULL OR (asset.east >= %(west)s AND asset.west <= %(east)s
        AND asset.north >= %(south)s AND asset.south <= %(north)s))
ORDER BY asset.asset_id

-- name: sensors
-- A sensor is in a box where it stands, itself or by its asset or device; its place here is its own.
SELECT device.external_id, device.network, sensor.channel, asset.external_id, sensor.name, gateway.external_id, sensor.limits,
    (SELECT string_agg(zone.external_id || CASE direction WHEN 1 THEN ':in' ELSE ':out' END, ';' ORDER BY zone.external_id)
     FROM zone_flow JOIN zone USING (zone_id) WHERE zone_flow.sensor_id = sensor.sensor_id),
    sensor.in_service, sensor.longitude, sensor.latitude
FROM sensor
JOIN device USING (device_id)
LEFT JOIN device AS gateway ON gateway.device_id = device.gateway_id
LEFT JOIN asset USING (asset_id)
WHERE (%(name)s::text IS NULL OR (device.external_id = split_part(%(name)s, '/', 1) AND sensor.channel = split_part(%(name)s, '/', 2)))
    AND (%(network)s::text IS NULL OR device.network = %(network)s)
    AND (%(west)s::float8 IS NULL
        OR (coalesce(sensor.longitude, (asset.west + asset.east) / 2, device.longitude) BETWEEN %(west)s AND %(east)s
            AND coalesce(sensor.latitude, (asset.south + asset.north) / 2, device.latitude) BETWEEN %(south)s AND %(north)s))
ORDER BY sensor.sensor_id

-- name: zones
-- Of a network also those of every network.
SELECT external_id, kind, network, name, status, attributes, geometry FROM zone
WHERE (%(name)s::text IS NULL OR external_id = %(name)s)
    AND (%(network)s::text IS NULL OR network IS NULL OR network = %(network)s)
    AND (%(west)s::float8 IS NULL
        OR (east >= %(west)s AND west <= %(east)s AND north >= %(south)s AND south <= %(north)s))
ORDER BY zone_id

-- name: facilities
-- Of every network: they belong to none.
SELECT external_id, kind, name, attributes, jsonb_build_object('type', 'Point', 'coordinates', jsonb_build_array(longitude, latitude))
FROM facility
WHERE (%(name)s::text IS NULL OR external_id = %(name)s) AND (%(network)s::text IS NULL OR true)
    AND (%(west)s::float8 IS NULL
        OR (longitude BETWEEN %(west)s AND %(east)s AND latitude BETWEEN %(south)s AND %(north)s))
ORDER BY facility_id

-- name: count
-- How many there are of each, for a bar.
SELECT (SELECT count(*) FROM asset WHERE %(network)s::text IS NULL OR network = %(network)s),
    (SELECT count(*) FROM sensor JOIN device USING (device_id) WHERE %(network)s::text IS NULL OR network = %(network)s),
    (SELECT count(*) FROM zone WHERE %(network)s::text IS NULL OR network IS NULL OR network = %(network)s),
    (SELECT count(*) FROM facility)
