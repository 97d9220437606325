-- name: assets
-- A page of assets in order of their id: network, kind, box and words are conditions where given. Words are looked for in the id,
-- the name, and the names of the devices whose sensors are there.
SELECT a.asset_id, a.external_id, a.network, a.kind, a.name, a.geometry, a.material, a.diameter_mm, a.install_year, a.length_m,
    a.depth_m, a.customers, a.critical, a.attributes, a.road_class, a.street, a.soil, a.condition,
    a.in_service, f.external_id, t.external_id, r.lof, r.cof, r.score
FROM asset a
LEFT JOIN asset f ON f.asset_id = a.from_asset
LEFT JOIN asset t ON t.asset_id = a.to_asset
LEFT JOIN asset_risk r ON r.asset_id = a.asset_id
WHERE a.asset_id > %(after)s
    AND (%(network)s::text IS NULL OR a.network = %(network)s)
    AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
    AND (%(west)s::float8 IS NULL
        OR (a.east >= %(west)s AND a.west <= %(east)s AND a.north >= %(south)s AND a.south <= %(north)s))
    AND (%(find)s::text IS NULL OR strpos(lower(a.external_id), lower(%(find)s)) > 0 OR strpos(lower(a.name), lower(%(find)s)) > 0
        OR a.asset_id IN (
            SELECT s.asset_id FROM sensor s JOIN device d ON d.device_id = s.device_id
            WHERE s.asset_id IS NOT NULL AND strpos(lower(d.external_id), lower(%(find)s)) > 0))
ORDER BY a.asset_id LIMIT %(limit)s;

-- name: asset
-- One asset by the city's own name for it.
SELECT a.asset_id, a.external_id, a.network, a.kind, a.name, a.geometry, a.material, a.diameter_mm, a.install_year, a.length_m,
    a.depth_m, a.customers, a.critical, a.attributes, a.road_class, a.street, a.soil, a.condition,
    a.in_service, f.external_id, t.external_id, r.lof, r.cof, r.score
FROM asset a
LEFT JOIN asset f ON f.asset_id = a.from_asset
LEFT JOIN asset t ON t.asset_id = a.to_asset
LEFT JOIN asset_risk r ON r.asset_id = a.asset_id
WHERE a.external_id = %(external_id)s;

-- name: devices
-- A page of devices in order of their id, with what their status topic and their sequence numbers say.
SELECT d.device_id, d.external_id, d.network, d.name, g.external_id, d.longitude, d.latitude,
    coalesce(s.status, 'unknown'), s.status_at, s.last_seen, coalesce(s.missed, 0)
FROM device d
LEFT JOIN device g ON g.device_id = d.gateway_id
LEFT JOIN device_state s ON s.device_id = d.device_id
WHERE d.device_id > %(after)s AND (%(network)s::text IS NULL OR d.network = %(network)s)
ORDER BY d.device_id LIMIT %(limit)s;

-- name: sensors
-- A page of sensors in order of their id, with their newest reading. A sensor without a position of its own stands where
-- its asset is, else where its device is.
SELECT * FROM (
    SELECT s.sensor_id, d.external_id AS device, d.network, s.channel, s.quantity, s.name, a.external_id AS asset,
        a.name AS asset_name,
        coalesce(s.longitude, (a.west + a.east) / 2, d.longitude) AS longitude,
        coalesce(s.latitude, (a.south + a.north) / 2, d.latitude) AS latitude,
        s.in_service, (s.limits->>'max_silence_s')::float8 AS max_silence_s, n.ts, n.value, n.quality
    FROM sensor s
    JOIN device d USING (device_id)
    LEFT JOIN asset a ON a.asset_id = s.asset_id
    LEFT JOIN sensor_state n ON n.sensor_id = s.sensor_id
) AS located
WHERE sensor_id > %(after)s
    AND (%(sensor_id)s::int IS NULL OR sensor_id = %(sensor_id)s)
    AND (%(network)s::text IS NULL OR network = %(network)s)
    AND (%(quantity)s::text IS NULL OR quantity = %(quantity)s)
    AND (%(device)s::text IS NULL OR device = %(device)s)
    AND (%(asset)s::text IS NULL OR asset = %(asset)s)
    AND (%(west)s::float8 IS NULL
        OR (longitude BETWEEN %(west)s AND %(east)s AND latitude BETWEEN %(south)s AND %(north)s))
ORDER BY sensor_id LIMIT %(limit)s;

-- name: alerts_newest
-- A page of alerts, the newest first, with the names that a person knows the place by.
SELECT * FROM (
    SELECT l.alert_id, l.subject_kind, l.subject_id, l.rule, l.rule_version, l.kind, l.network, l.level, l.state, l.sensor_id,
        l.longitude, l.latitude, l.evidence, l.first_seen, l.raised_at, l.updated_at, l.acknowledged_at, l.acknowledged_by,
        l.returned_at, l.closed_at, l.version, a.external_id AS asset, a.name AS asset_name, a.kind AS asset_kind,
        d.external_id AS device, s.quantity, s.name AS sensor_name, l.incident_id
    FROM alert l
    LEFT JOIN asset a ON a.asset_id = l.asset_id
    LEFT JOIN device d ON d.device_id = l.device_id
    LEFT JOIN sensor s ON s.sensor_id = l.sensor_id
) AS alert_line
WHERE (%(after_at)s::timestamptz IS NULL OR (raised_at, alert_id) < (%(after_at)s, %(after_id)s))
    AND (%(open)s::bool IS NULL OR (closed_at IS NULL) = %(open)s)
    AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
    AND (%(levels)s::int[] IS NULL OR level = ANY(%(levels)s))
    AND (%(network)s::text IS NULL OR network = %(network)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(asset)s::text IS NULL OR asset = %(asset)s)
    AND (%(sensor_id)s::int IS NULL OR sensor_id = %(sensor_id)s)
ORDER BY raised_at DESC, alert_id DESC LIMIT %(limit)s;

-- name: alerts_worst
-- A page of alerts, the worst first and the newest of a level first.
SELECT * FROM (
    SELECT l.alert_id, l.subject_kind, l.subject_id, l.rule, l.rule_version, l.kind, l.network, l.level, l.state, l.sensor_id,
        l.longitude, l.latitude, l.evidence, l.first_seen, l.raised_at, l.updated_at, l.acknowledged_at, l.acknowledged_by,
        l.returned_at, l.closed_at, l.version, a.external_id AS asset, a.name AS asset_name, a.kind AS asset_kind,
        d.external_id AS device, s.quantity, s.name AS sensor_name, l.incident_id
    FROM alert l
    LEFT JOIN asset a ON a.asset_id = l.asset_id
    LEFT JOIN device d ON d.device_id = l.device_id
    LEFT JOIN sensor s ON s.sensor_id = l.sensor_id
) AS alert_line
WHERE (%(after_at)s::timestamptz IS NULL OR level > %(after_level)s
        OR (level = %(after_level)s AND (raised_at, alert_id) < (%(after_at)s, %(after_id)s)))
    AND (%(open)s::bool IS NULL OR (closed_at IS NULL) = %(open)s)
    AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
    AND (%(levels)s::int[] IS NULL OR level = ANY(%(levels)s))
    AND (%(network)s::text IS NULL OR network = %(network)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(asset)s::text IS NULL OR asset = %(asset)s)
    AND (%(sensor_id)s::int IS NULL OR sensor_id = %(sensor_id)s)
ORDER BY level, raised_at DESC, alert_id DESC LIMIT %(limit)s;

-- name: alert
-- One alert with the names that a person knows the place by.
SELECT * FROM (
    SELECT l.alert_id, l.subject_kind, l.subject_id, l.rule, l.rule_version, l.kind, l.network, l.level, l.state, l.sensor_id,
        l.longitude, l.latitude, l.evidence, l.first_seen, l.raised_at, l.updated_at, l.acknowledged_at, l.acknowledged_by,
        l.returned_at, l.closed_at, l.version, a.external_id AS asset, a.name AS asset_name, a.kind AS asset_kind,
        d.external_id AS device, s.quantity, s.name AS sensor_name, l.incident_id
    FROM alert l
    LEFT JOIN asset a ON a.asset_id = l.asset_id
    LEFT JOIN device d ON d.device_id = l.device_id
    LEFT JOIN sensor s ON s.sensor_id = l.sensor_id
) AS alert_line WHERE alert_id = %(alert_id)s;

-- name: counts
-- How much there is of everything that an operator counts; readings are not counted row by row.
SELECT (SELECT count(*) FROM asset), (SELECT count(*) FROM device), (SELECT count(*) FROM sensor WHERE in_service),
    (SELECT count(*) FROM sensor_state), (SELECT max(ts) FROM sensor_state), (SELECT max(received_at) FROM sensor_state),
    (SELECT count(*) FROM unknown_device), (SELECT count(*) FROM delivery WHERE state = 'pending'),
    (SELECT count(*) FROM delivery WHERE state = 'failed');
