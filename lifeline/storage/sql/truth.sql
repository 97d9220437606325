-- name: write
-- What a simulated city did; an event that is written again tells more of itself than before. A dead gateway is one of
-- the devices that fall silent: the one alert is on it.
INSERT INTO truth AS t (event_id, began_at, ended_at, kind, nature, network, asset, sensor, devices, longitude, latitude,
    visible_from, visible_at, caused_by, harmless, scenario, seed, parameters, written_at)
SELECT r.id, r."from", r."to", r.kind, coalesce(r.nature, 'physical'), coalesce(r.network, ''), r.asset, r.sensor,
    array_remove(array_prepend(r.gateway, r.devices), NULL), r.longitude, r.latitude, r.visible_from, r.visible_at, r.caused_by, coalesce(r.harmless, false),
    r.scenario, r.seed, coalesce(r.parameters, '{}'), %(now)s
FROM jsonb_to_recordset(%(records)s) AS r (id text, "from" timestamptz, "to" timestamptz, kind text, nature text, network text,
    asset text, sensor text, gateway text, devices text[], longitude double precision, latitude double precision, visible_from timestamptz,
    visible_at text, caused_by text, harmless boolean, scenario text, seed bigint, parameters jsonb)
ON CONFLICT (event_id, began_at) DO UPDATE
SET ended_at = EXCLUDED.ended_at, visible_from = coalesce(EXCLUDED.visible_from, t.visible_from),
    visible_at = coalesce(EXCLUDED.visible_at, t.visible_at), written_at = EXCLUDED.written_at

-- name: between
-- Events that began in a time, in order.
SELECT event_id, kind, nature, network, scenario, seed, began_at, ended_at, visible_from, asset, sensor, devices, longitude,
    latitude, harmless
FROM truth WHERE began_at >= %(first)s AND began_at < %(last)s
ORDER BY began_at, event_id

-- name: alerts
-- Alerts that were raised in a time, with what each speaks of and what its incident was taken for.
SELECT a.alert_id, a.rule, a.kind, a.network, a.raised_at, w.worst_level, a.evidence ->> 'quantity', s.quantity,
    a.longitude, a.latitude, t.external_id, d.external_id, s.channel, i.causes -> 0 ->> 'cause'
FROM alert a
LEFT JOIN asset t ON t.asset_id = a.asset_id
LEFT JOIN sensor s ON s.sensor_id = a.sensor_id
LEFT JOIN device d ON d.device_id = a.device_id
LEFT JOIN incident i ON i.incident_id = a.incident_id
CROSS JOIN LATERAL (
    SELECT least(a.level, min(h.to_level)) AS worst_level FROM alert_history h WHERE h.alert_id = a.alert_id) w
WHERE a.raised_at >= %(first)s AND a.raised_at < %(last)s
ORDER BY a.raised_at, a.alert_id
