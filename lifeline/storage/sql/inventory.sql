-- What the city has: assets with their hexagons and standing risk, devices, sensors. Written by `lifeline import` and
-- `lifeline sensors adopt`, by the owner of the schema.

-- name: inventory_lock
-- One import at a time: two that touch the same rows in another order would dead-lock.
SELECT pg_advisory_xact_lock(5461433663)

-- name: stage_assets
-- A file's assets as they stand in it; `position` is the index in the file.
CREATE TEMPORARY TABLE staged_asset (
    position integer NOT NULL,
    external_id text NOT NULL,
    network text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    geometry jsonb NOT NULL,
    west double precision NOT NULL,
    south double precision NOT NULL,
    east double precision NOT NULL,
    north double precision NOT NULL,
    from_external text,
    to_external text,
    material text,
    diameter_mm double precision,
    install_year integer,
    length_m double precision,
    depth_m double precision,
    customers integer NOT NULL,
    critical boolean NOT NULL,
    attributes jsonb NOT NULL,
    road_class text,
    street text,
    soil text,
    condition smallint,
    in_service boolean                          -- NULL: as it is, a new one true
) ON COMMIT DROP

-- name: copy_assets
COPY staged_asset FROM STDIN

-- name: analyze_assets
-- The planner knows nothing of a new table, and would join 100,000 rows one by one.
ANALYZE staged_asset

-- name: store_assets
-- Rows that are as they were are not touched. Ends (from, to) follow in join_assets, when every asset has its number.
WITH stored AS (
    INSERT INTO asset (external_id, network, kind, name, geometry, west, south, east, north, material, diameter_mm,
                       install_year, length_m, depth_m, customers, critical, attributes, road_class, street, soil,
                       condition, in_service)
    SELECT external_id, network, kind, name, geometry, west, south, east, north, material, diameter_mm,
           install_year, length_m, depth_m, customers, critical, attributes, road_class, street, soil, condition,
           coalesce(in_service, (SELECT known.in_service FROM asset AS known
                                 WHERE known.external_id = staged_asset.external_id), true)
    FROM staged_asset ORDER BY position
    ON CONFLICT (external_id) DO UPDATE SET
        network = excluded.network, kind = excluded.kind, name = excluded.name, geometry = excluded.geometry,
        west = excluded.west, south = excluded.south, east = excluded.east, north = excluded.north,
        material = excluded.material, diameter_mm = excluded.diameter_mm, install_year = excluded.install_year,
        length_m = excluded.length_m, depth_m = excluded.depth_m, customers = excluded.customers,
        critical = excluded.critical, attributes = excluded.attributes, road_class = excluded.road_class,
        street = excluded.street, soil = excluded.soil, condition = excluded.condition, in_service = excluded.in_service
    WHERE (asset.network, asset.kind, asset.name, asset.geometry, asset.material, asset.diameter_mm,
           asset.install_year, asset.length_m, asset.depth_m, asset.customers, asset.critical, asset.attributes,
           asset.road_class, asset.street, asset.soil, asset.condition, asset.in_service)
          IS DISTINCT FROM
          (excluded.network, excluded.kind, excluded.name, excluded.geometry, excluded.material, excluded.diameter_mm,
           excluded.install_year, excluded.length_m, excluded.depth_m, excluded.customers, excluded.critical,
           excluded.attributes, excluded.road_class, excluded.street, excluded.soil, excluded.condition,
           excluded.in_service)
    RETURNING external_id, xmax = 0 AS is_new
)
SELECT position, is_new FROM stored JOIN staged_asset USING (external_id) ORDER BY position

-- name: known_assets
SELECT external_id FROM asset WHERE external_id = ANY (%(names)s)

-- name: known_zones
SELECT external_id FROM zone WHERE external_id = ANY (%(names)s)

-- name: store_model
-- Whether the model is new; nothing where it is as it was.
INSERT INTO network_model (name, network, format, prefix, content, imported_at)
VALUES (%(name)s, %(network)s, %(format)s, %(prefix)s, %(content)s, %(now)s)
ON CONFLICT (name) DO UPDATE SET
    network = excluded.network, format = excluded.format, prefix = excluded.prefix, content = excluded.content,
    imported_at = excluded.imported_at
WHERE (network_model.network, network_model.format, network_model.prefix, network_model.content) IS DISTINCT FROM
      (excluded.network, excluded.format, excluded.prefix, excluded.content)
RETURNING xmax = 0 AS is_new

-- name: note_change
INSERT INTO inventory_history (at, actor, action, what, external_id, detail)
VALUES (%(at)s, %(actor)s, %(action)s, %(what)s, %(external_id)s, %(detail)s)

-- name: unknown_ends
-- from and to that neither the file nor the database has.
SELECT position, what, external_id
FROM (SELECT position, 'from' AS what, from_external AS external_id FROM staged_asset
      UNION ALL SELECT position, 'to', to_external FROM staged_asset) AS ends
WHERE external_id IS NOT NULL AND NOT EXISTS (SELECT FROM asset WHERE asset.external_id = ends.external_id)
ORDER BY position, what

-- name: join_assets
-- Gives the number of those whose ends have changed.
WITH joined AS (
    SELECT mine.asset_id, a.asset_id AS from_asset, b.asset_id AS to_asset
    FROM staged_asset
    JOIN asset AS mine USING (external_id)
    LEFT JOIN asset AS a ON a.external_id = from_external
    LEFT JOIN asset AS b ON b.external_id = to_external
)
UPDATE asset SET from_asset = joined.from_asset, to_asset = joined.to_asset
FROM joined
WHERE asset.asset_id = joined.asset_id
  AND (asset.from_asset, asset.to_asset) IS DISTINCT FROM (joined.from_asset, joined.to_asset)

-- name: asset_numbers
-- asset_id of each row of the file, in the file's order.
SELECT asset_id FROM staged_asset JOIN asset USING (external_id) ORDER BY position

-- name: forget_cells
DELETE FROM asset_cell WHERE asset_id = ANY (%(assets)s)

-- name: copy_cells
COPY asset_cell (asset_id, resolution, cell, length_m) FROM STDIN

-- name: forget_retired
-- What is out of service has neither cells nor a risk.
WITH retired AS (SELECT asset_id FROM asset JOIN staged_asset USING (external_id) WHERE NOT asset.in_service),
     cells AS (DELETE FROM asset_cell USING retired WHERE asset_cell.asset_id = retired.asset_id)
DELETE FROM asset_risk USING retired WHERE asset_risk.asset_id = retired.asset_id

-- name: sensors_on
SELECT sensor_id FROM sensor WHERE asset_id = ANY (%(assets)s)

-- name: unstage_assets
DROP TABLE staged_asset

-- name: stage_sensors
CREATE TEMPORARY TABLE staged_sensor (
    position integer NOT NULL,
    device text NOT NULL,
    network text NOT NULL,
    channel text NOT NULL,
    quantity text NOT NULL,
    asset text,
    name text NOT NULL,
    longitude double precision,
    latitude double precision,
    gateway text,
    limits jsonb NOT NULL,
    balance jsonb,                              -- {"zone": 1 or -1}; NULL: as it is
    in_service boolean
) ON COMMIT DROP

-- name: copy_sensors
COPY staged_sensor FROM STDIN

-- name: analyze_sensors
ANALYZE staged_sensor

-- name: unstage_sensors
DROP TABLE staged_sensor

-- name: unknown_assets
-- Assets that a sensor names and the database lacks.
SELECT position, asset FROM staged_sensor
WHERE asset IS NOT NULL AND NOT EXISTS (SELECT FROM asset WHERE external_id = staged_sensor.asset)
ORDER BY position

-- name: moved_devices
-- A device's network is part of its topic: it does not change under readings that are stored.
SELECT min(position), device, min(staged_sensor.network), min(known.network)
FROM staged_sensor JOIN device AS known ON known.external_id = staged_sensor.device
WHERE known.network <> staged_sensor.network GROUP BY device ORDER BY 1

-- name: store_devices
-- A device stands where the first of its sensors with a place stands; a gateway that measures nothing itself is in the
-- network of its first child.
INSERT INTO device (external_id, network, longitude, latitude)
SELECT external_id, network, longitude, latitude
FROM (
    SELECT DISTINCT ON (external_id) external_id, network, longitude, latitude
    FROM (SELECT device AS external_id, network, longitude, latitude, 0 AS borrowed, position FROM staged_sensor
          UNION ALL SELECT gateway, network, NULL, NULL, 1, position FROM staged_sensor WHERE gateway IS NOT NULL) AS named
    ORDER BY external_id, borrowed, longitude IS NULL, position
) AS wanted
ORDER BY external_id
ON CONFLICT (external_id) DO UPDATE SET longitude = excluded.longitude, latitude = excluded.latitude
WHERE excluded.longitude IS NOT NULL
  AND (device.longitude, device.latitude) IS DISTINCT FROM (excluded.longitude, excluded.latitude)

-- name: join_gateways
WITH wanted AS (
    SELECT DISTINCT mine.device_id, gateway.device_id AS gateway_id
    FROM staged_sensor
    JOIN device AS mine ON mine.external_id = staged_sensor.device
    LEFT JOIN device AS gateway ON gateway.external_id = staged_sensor.gateway
)
UPDATE device SET gateway_id = wanted.gateway_id FROM wanted
WHERE device.device_id = wanted.device_id AND device.gateway_id IS DISTINCT FROM wanted.gateway_id

-- name: store_sensors
-- Number of each sensor that is new or has changed, and whether it is new.
INSERT INTO sensor (device_id, channel, quantity, asset_id, name, longitude, latitude, limits, in_service)
SELECT device_id, channel, quantity, asset_id, staged_sensor.name, staged_sensor.longitude, staged_sensor.latitude, limits,
       coalesce(staged_sensor.in_service, (SELECT known.in_service FROM sensor AS known
                WHERE known.device_id = device.device_id AND known.channel = staged_sensor.channel), true)
FROM staged_sensor
JOIN device ON device.external_id = staged_sensor.device
LEFT JOIN asset ON asset.external_id = staged_sensor.asset
ORDER BY position
ON CONFLICT (device_id, channel) DO UPDATE SET
    quantity = excluded.quantity, asset_id = excluded.asset_id, name = excluded.name, longitude = excluded.longitude,
    latitude = excluded.latitude, limits = excluded.limits, in_service = excluded.in_service
WHERE (sensor.quantity, sensor.asset_id, sensor.name, sensor.longitude, sensor.latitude, sensor.limits, sensor.in_service)
      IS DISTINCT FROM
      (excluded.quantity, excluded.asset_id, excluded.name, excluded.longitude, excluded.latitude, excluded.limits,
       excluded.in_service)
RETURNING sensor_id, xmax = 0 AS is_new

-- name: unknown_zones
-- Zones that a meter's balance names and the database lacks.
SELECT position, named.zone FROM staged_sensor CROSS JOIN LATERAL jsonb_object_keys(balance) AS named (zone)
WHERE NOT EXISTS (SELECT FROM zone WHERE external_id = named.zone)
ORDER BY position, named.zone

-- name: store_flows
-- Sensors whose part in a balance has changed.
WITH given AS (
    SELECT sensor_id, balance
    FROM staged_sensor
    JOIN device ON device.external_id = staged_sensor.device
    JOIN sensor USING (device_id, channel)
    WHERE balance IS NOT NULL
), wanted AS (
    SELECT zone_id, sensor_id, part.value::smallint AS direction
    FROM given CROSS JOIN LATERAL jsonb_each_text(balance) AS part (zone, value) JOIN zone ON zone.external_id = part.zone
), gone AS (
    DELETE FROM zone_flow USING given
    WHERE zone_flow.sensor_id = given.sensor_id
      AND NOT EXISTS (SELECT FROM wanted WHERE wanted.zone_id = zone_flow.zone_id AND wanted.sensor_id = zone_flow.sensor_id)
    RETURNING zone_flow.sensor_id
), stored AS (
    INSERT INTO zone_flow (zone_id, sensor_id, direction) SELECT zone_id, sensor_id, direction FROM wanted
    ON CONFLICT (zone_id, sensor_id) DO UPDATE SET direction = excluded.direction
    WHERE zone_flow.direction <> excluded.direction
    RETURNING sensor_id
)
SELECT sensor_id FROM gone UNION SELECT sensor_id FROM stored

-- name: forget_unknown
-- Devices that every channel is known of now.
DELETE FROM unknown_device
WHERE EXISTS (SELECT FROM device WHERE external_id = unknown_device.device AND device.network = unknown_device.network)
  AND NOT EXISTS (
      SELECT FROM unnest(unknown_device.channels) AS heard (channel)
      WHERE NOT EXISTS (SELECT FROM sensor JOIN device USING (device_id)
                        WHERE external_id = unknown_device.device AND sensor.channel = heard.channel))

-- name: announce
SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')

-- name: unknown_devices
-- Those that speak and are not in the inventory, or of which a channel is not.
SELECT network, device, channels, first_seen, last_seen, readings FROM unknown_device
WHERE (%(device)s::text IS NULL OR device = %(device)s) AND (%(network)s::text IS NULL OR network = %(network)s)
ORDER BY network, device

-- name: sensors
-- Sensors with their newest reading, by device and channel; `silence_s` is the sensor's own longest silence, if it has one.
SELECT device.external_id, device.network, sensor.channel, asset.external_id, sensor.name, gateway.external_id,
       sensor.in_service, state.ts, state.value, state.received_at, (sensor.limits ->> 'max_silence_s')::double precision
FROM sensor
JOIN device USING (device_id)
LEFT JOIN device AS gateway ON gateway.device_id = device.gateway_id
LEFT JOIN asset USING (asset_id)
LEFT JOIN sensor_state AS state USING (sensor_id)
WHERE (%(device)s::text IS NULL OR device.external_id = %(device)s)
  AND (%(network)s::text IS NULL OR device.network = %(network)s)
ORDER BY device.external_id, sensor.channel

-- name: device
SELECT device.external_id, device.network, gateway.external_id, state.status, state.status_at, state.last_seen,
       coalesce(state.missed, 0)
FROM device
LEFT JOIN device AS gateway ON gateway.device_id = device.gateway_id
LEFT JOIN device_state AS state ON state.device_id = device.device_id
WHERE device.external_id = %(device)s

-- name: counts
SELECT network, (SELECT count(*) FROM asset WHERE asset.network = networks.network),
       (SELECT count(*) FROM device WHERE device.network = networks.network),
       (SELECT count(*) FROM sensor JOIN device USING (device_id) WHERE device.network = networks.network)
FROM (SELECT network FROM asset UNION SELECT network FROM device) AS networks
ORDER BY network

-- name: newest
-- Time of the newest reading of all.
SELECT max(ts) FROM sensor_state
