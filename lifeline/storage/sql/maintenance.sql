-- Planned work: windows in which nothing new is raised, by network, asset and rule.

-- name: open
INSERT INTO maintenance_window (network, zone, asset_id, sensor_id, device_id, rule, begins_at, ends_at, reason, created_by, created_at)
VALUES (%(network)s, %(zone)s, coalesce(%(asset_id)s, (SELECT asset_id FROM asset WHERE external_id = %(asset)s)), %(sensor_id)s,
    %(device_id)s, %(rule)s, %(begins_at)s, %(ends_at)s, %(reason)s, %(actor)s, %(now)s)
RETURNING window_id;

-- name: asset_exists
SELECT 1 FROM asset WHERE external_id = %(name)s;

-- name: zone_exists
SELECT 1 FROM zone WHERE external_id = %(name)s;

-- name: sensor_exists
SELECT 1 FROM sensor WHERE sensor_id = %(name)s;

-- name: get
SELECT w.window_id, w.network, w.zone, a.external_id, w.sensor_id, d.external_id, w.rule, w.begins_at, w.ends_at, w.reason,
    w.created_by, w.ended_by
FROM maintenance_window w LEFT JOIN asset a USING (asset_id) LEFT JOIN device d ON d.device_id = w.device_id
WHERE w.window_id = %(window_id)s;

-- name: change
UPDATE maintenance_window SET ends_at = %(ends_at)s, reason = %(reason)s
WHERE window_id = %(window_id)s AND ended_by IS NULL AND (ends_at IS NULL OR ends_at > %(now)s) RETURNING window_id;

-- name: end
-- Ends a window now; one that has not begun never does.
UPDATE maintenance_window SET ends_at = greatest(begins_at, %(now)s), ended_by = %(actor)s
WHERE window_id = %(window_id)s AND ended_by IS NULL AND (ends_at IS NULL OR ends_at > %(now)s)
RETURNING window_id;

-- name: list
-- Windows that are open or still to come, and those that ended since then.
SELECT w.window_id, w.network, w.zone, a.external_id, w.sensor_id, d.external_id, w.rule, w.begins_at, w.ends_at, w.reason,
    w.created_by, w.ended_by
FROM maintenance_window w LEFT JOIN asset a USING (asset_id) LEFT JOIN device d ON d.device_id = w.device_id
WHERE w.ends_at IS NULL OR w.ends_at > %(since)s
ORDER BY w.begins_at, w.window_id;

-- name: any_open
SELECT EXISTS (SELECT FROM maintenance_window WHERE begins_at <= %(now)s AND (ends_at IS NULL OR ends_at > %(now)s));

-- name: covered
-- Which of these (subject, rule) lie in an open window, by their place in the question (from 1). A device is at an asset where one
-- of its sensors is.
SELECT q.place
FROM unnest(%(kinds)s::text[], %(ids)s::bigint[], %(rules)s::text[]) WITH ORDINALITY AS q (kind, id, rule, place)
LEFT JOIN sensor s ON q.kind = 'sensor' AND s.sensor_id = q.id
LEFT JOIN device d ON d.device_id = CASE q.kind WHEN 'sensor' THEN s.device_id WHEN 'device' THEN q.id END
LEFT JOIN asset a ON a.asset_id = CASE q.kind WHEN 'sensor' THEN s.asset_id WHEN 'asset' THEN q.id END
WHERE EXISTS (
    SELECT FROM maintenance_window w
    WHERE w.begins_at <= %(now)s AND (w.ends_at IS NULL OR w.ends_at > %(now)s)
        AND (w.rule IS NULL OR w.rule = q.rule)
        AND (w.sensor_id IS NULL OR w.sensor_id = s.sensor_id)
        AND (w.device_id IS NULL OR w.device_id = d.device_id)
        AND (w.zone IS NULL OR EXISTS (SELECT FROM zone z WHERE z.external_id = w.zone AND (
            EXISTS (SELECT FROM zone_asset m WHERE m.zone_id = z.zone_id AND m.asset_id = a.asset_id)
            OR EXISTS (SELECT FROM zone_sensor m WHERE m.zone_id = z.zone_id AND m.sensor_id = s.sensor_id)
            OR q.kind = 'device' AND EXISTS (SELECT FROM sensor o WHERE o.device_id = q.id AND (
                EXISTS (SELECT FROM zone_sensor m WHERE m.zone_id = z.zone_id AND m.sensor_id = o.sensor_id)
                OR EXISTS (SELECT FROM zone_asset m WHERE m.zone_id = z.zone_id AND m.asset_id = o.asset_id))))))
        AND (w.network IS NULL OR w.network = coalesce(d.network, a.network))
        AND (w.asset_id IS NULL OR w.asset_id = a.asset_id OR q.kind = 'device'
            AND EXISTS (SELECT FROM sensor o WHERE o.device_id = q.id AND o.asset_id = w.asset_id))
);
