-- name: settings
-- An odd question (a filter over years of readings) must not hold a connection for long.
SET LOCAL statement_timeout = '10s'

-- name: Things
-- A device. It stands where it says, else where its first sensor is.
SELECT d.device_id AS id, coalesce(nullif(d.name, ''), d.external_id) AS name,
    'Device ' || d.external_id || ' of the ' || d.network || ' network' AS description,
    jsonb_build_object('device', d.external_id, 'network', d.network, 'status', coalesce(s.status, 'unknown'),
        'last_seen', s.last_seen) AS properties
FROM device d LEFT JOIN device_state s USING (device_id)

-- name: Locations
-- Where a device stands; one that nobody placed has none.
SELECT d.device_id AS id, coalesce(nullif(d.name, ''), d.external_id) AS name, 'Where the device stands' AS description,
    'application/geo+json' AS "encodingType",
    jsonb_build_object('type', 'Point', 'coordinates', jsonb_build_array(p.longitude, p.latitude)) AS location,
    d.device_id AS _thing
FROM device d
CROSS JOIN LATERAL (
    SELECT coalesce(d.longitude, s.longitude, (a.west + a.east) / 2) AS longitude,
        coalesce(d.latitude, s.latitude, (a.south + a.north) / 2) AS latitude
    FROM (VALUES (1)) one LEFT JOIN sensor s ON s.device_id = d.device_id LEFT JOIN asset a ON a.asset_id = s.asset_id
    ORDER BY s.sensor_id LIMIT 1) p
WHERE p.longitude IS NOT NULL AND p.latitude IS NOT NULL

-- name: HistoricalLocations
-- Devices stand still here: there is no history of places.
SELECT device_id AS id, NULL::timestamptz AS time, device_id AS _thing, device_id AS _location FROM device WHERE false

-- name: Datastreams
-- A sensor: what it measures, in which unit.
SELECT s.sensor_id AS id, coalesce(nullif(s.name, ''), d.external_id || ' ' || s.channel) AS name,
    coalesce(q.name, s.quantity) || coalesce(' at ' || a.external_id, '') AS description,
    jsonb_build_object('name', coalesce(q.unit, ''), 'symbol', coalesce(q.unit, ''), 'definition',
        'urn:lifeline:unit:' || coalesce(q.unit, '')) AS "unitOfMeasurement",
    'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement' AS "observationType",
    jsonb_build_object('channel', s.channel, 'network', d.network, 'asset', a.external_id,
        'in_service', s.in_service) AS properties,
    s.device_id AS _thing, s.sensor_id AS _sensor, s.quantity AS _property
FROM sensor s JOIN device d USING (device_id) LEFT JOIN asset a ON a.asset_id = s.asset_id
LEFT JOIN jsonb_to_recordset(%(quantities)s::jsonb) AS q (id text, name text, unit text) ON q.id = s.quantity

-- name: Sensors
-- The instrument of a datastream; the inventory knows no more of it than its channel.
SELECT s.sensor_id AS id, d.external_id || ' ' || s.channel AS name,
    'Instrument for ' || s.quantity || ' on device ' || d.external_id AS description,
    'application/json' AS "encodingType", s.limits AS metadata
FROM sensor s JOIN device d USING (device_id)

-- name: ObservedProperties
-- A quantity of the catalogue.
SELECT q.id, q.name, 'urn:lifeline:quantity:' || q.id AS definition, q.description
FROM jsonb_to_recordset(%(quantities)s::jsonb) AS q (id text, name text, description text)

-- name: Observations
-- A reading. Its id is made of the sensor and the time in microseconds, as a reading is the same whenever these are.
SELECT r.sensor_id || '-' || (extract(epoch FROM r.ts) * 1000000)::bigint AS id, r.ts AS "phenomenonTime",
    r.ts AS "resultTime", r.value AS result,
    CASE WHEN r.quality & 2 > 0 THEN 'implausible' WHEN r.quality & 1 > 0 THEN 'backlog' ELSE 'good' END AS "resultQuality",
    r.sensor_id AS _datastream, s.asset_id AS _feature
FROM reading r JOIN sensor s USING (sensor_id)

-- name: FeaturesOfInterest
-- An asset that a sensor watches.
SELECT a.asset_id AS id, coalesce(nullif(a.name, ''), a.external_id) AS name,
    a.kind || ' of the ' || a.network || ' network' AS description, 'application/geo+json' AS "encodingType",
    a.geometry AS feature,
    jsonb_build_object('asset', a.external_id, 'network', a.network, 'kind', a.kind) AS properties
FROM asset a WHERE EXISTS (SELECT FROM sensor s WHERE s.asset_id = a.asset_id)
