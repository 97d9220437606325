-- name: one_moment
-- What follows sees the database as it is now: an asset that is imported meanwhile is in all tables or in none.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: assets
-- Every asset with its standing risk, in order of its id. The geometry stays text: the map passes it on unread.
SELECT a.asset_id, a.external_id, a.network, a.kind, a.name, a.geometry::text, a.west, a.south, a.east, a.north,
    coalesce(a.from_asset, 0), coalesce(a.to_asset, 0), r.lof, r.cof, r.score, r.parts
FROM asset a LEFT JOIN asset_risk r USING (asset_id) WHERE a.in_service ORDER BY a.asset_id;

-- name: asset_cells
-- Which hexagons of one resolution each asset lies in, with its metres there.
SELECT asset_id, cell, length_m FROM asset_cell WHERE resolution = %(resolution)s ORDER BY cell, asset_id;

-- name: sensors
-- Where each sensor in service stands, and how long it may be silent where that is set for it alone.
SELECT s.sensor_id, s.quantity, (s.limits->>'max_silence_s')::float8,
    coalesce(s.longitude, (a.west + a.east) / 2, d.longitude), coalesce(s.latitude, (a.south + a.north) / 2, d.latitude)
FROM sensor s JOIN device d USING (device_id) LEFT JOIN asset a ON a.asset_id = s.asset_id
WHERE s.in_service ORDER BY s.sensor_id;

-- name: newest
-- When each sensor was heard last.
SELECT sensor_id, extract(epoch FROM ts)::float8 FROM sensor_state ORDER BY sensor_id;

-- name: open_risk_alerts
-- What colours the map: open risk alerts, but for those that are muted by design (suppressed, out of service). One that
-- has returned to normal colours it until somebody has acknowledged it: map and list must not disagree.
SELECT alert_id, rule, level, coalesce(asset_id, 0), longitude, latitude FROM alert
WHERE closed_at IS NULL AND kind = 'risk' AND state NOT IN ('DSUPR', 'OOSRV') ORDER BY level, alert_id;
