-- name: one_moment
-- What follows sees the database as it is now: an asset that is imported meanwhile is in all tables or in none.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: assets
-- Every asset with its standing risk, in order of its id. The geometry stays text: the map passes it on unread; the
-- parts come as text because a hundred thousand of them are decoded faster than psycopg does.
SELECT a.asset_id, a.external_id, a.network, a.kind, a.name, a.geometry::text, a.west, a.south, a.east, a.north,
    coalesce(a.from_asset, 0), coalesce(a.to_asset, 0), r.lof, r.cof, r.score, r.parts::text, coalesce(a.road_class, ''),
    r.probability
FROM asset a LEFT JOIN asset_risk r USING (asset_id) WHERE a.in_service ORDER BY a.asset_id;

-- name: asset_cells
-- Which hexagons of one resolution each asset lies in, with its metres there.
SELECT c.asset_id, c.cell, c.length_m FROM asset_cell c JOIN asset a USING (asset_id)
WHERE c.resolution = %(resolution)s AND a.in_service ORDER BY c.cell, c.asset_id;

-- name: sensors
-- Where each sensor in service stands, and how long it may be silent where that is set for it alone.
SELECT s.sensor_id, s.quantity, (s.limits->>'max_silence_s')::float8,
    coalesce(s.longitude, (a.west + a.east) / 2, d.longitude), coalesce(s.latitude, (a.south + a.north) / 2, d.latitude)
FROM sensor s JOIN device d USING (device_id) LEFT JOIN asset a ON a.asset_id = s.asset_id
WHERE s.in_service ORDER BY s.sensor_id;

-- name: zones
-- Zones by which people plan; a suggestion is none yet.
SELECT zone_id, external_id, kind, coalesce(network, ''), name, geometry::text FROM zone WHERE status = 'active' ORDER BY external_id;

-- name: zone_assets
SELECT m.zone_id, m.asset_id, m.share FROM zone_asset m JOIN zone z USING (zone_id) JOIN asset a USING (asset_id)
WHERE z.status = 'active' AND a.in_service ORDER BY m.zone_id, m.asset_id;

-- name: newest
-- When each sensor was heard last, as two arrays in no order: seconds and order are cheaper in numpy.
SELECT array_agg(sensor_id::bigint), array_agg(ts) FROM sensor_state;

-- name: risk_alerts
-- What colours the map, worst first: open risk alerts, but for those that are muted by design (suppressed, out of service);
-- and those that closed a while ago, unless people said that there was nothing: what was wrong may be so again.
SELECT a.alert_id, a.rule, a.level, coalesce(a.asset_id, 0), a.longitude, a.latitude,
    extract(epoch FROM coalesce(a.returned_at, a.closed_at))::float8, a.closed_at IS NULL,
    coalesce(s.quantity, a.evidence ->> 'quantity', ''), coalesce(a.incident_id, 0)
FROM (
    SELECT * FROM alert WHERE closed_at IS NULL AND kind = 'risk' AND state NOT IN ('DSUPR', 'OOSRV')
    UNION ALL
    SELECT * FROM alert c WHERE closed_at > %(since)s AND kind = 'risk' AND NOT EXISTS (
        SELECT FROM (SELECT genuine FROM feedback f WHERE f.alert_id = c.alert_id ORDER BY feedback_id DESC LIMIT 1) newest
        WHERE NOT genuine)
) a LEFT JOIN sensor s ON s.sensor_id = a.sensor_id
ORDER BY a.level, a.alert_id;
