-- name: assets
-- A page of assets as GeoJSON parts, in order of entry. An asset has no time: it meets every interval.
SELECT a.asset_id, to_json(a.external_id)::text, a.geometry::text, json_build_object('id', a.external_id, 'network', a.network,
    'kind', a.kind, 'name', a.name, 'material', a.material, 'diameter_mm', a.diameter_mm, 'install_year', a.install_year,
    'length_m', a.length_m, 'depth_m', a.depth_m, 'customers', a.customers, 'critical', a.critical, 'standing_score', r.score)::text
FROM asset a LEFT JOIN asset_risk r USING (asset_id)
WHERE a.asset_id > %(after)s AND (%(fid)s::text IS NULL OR a.external_id = %(fid)s)
    AND (%(network)s::text IS NULL OR a.network = %(network)s)
    AND (%(west)s::float8 IS NULL
        OR (a.east >= %(west)s AND a.west <= %(east)s AND a.north >= %(south)s AND a.south <= %(north)s))
ORDER BY a.asset_id LIMIT %(limit)s;

-- name: sensors
-- A page of sensors with their newest reading; one without a place of its own stands at its asset, else at its device.
-- Its time is that of the newest reading.
SELECT located.sensor_id, located.sensor_id::text AS fid, CASE WHEN longitude IS NULL OR latitude IS NULL THEN 'null'
        ELSE json_build_object('type', 'Point', 'coordinates', json_build_array(longitude, latitude))::text END,
    json_build_object('id', sensor_id, 'network', network, 'device', device, 'channel', channel, 'quantity', quantity,
        'name', name, 'asset', asset, 'in_service', in_service, 'value', value, 'at', ts)::text
FROM (
    SELECT s.sensor_id, d.network, d.external_id AS device, s.channel, s.quantity, s.name, a.external_id AS asset, s.in_service,
        n.value, n.ts, coalesce(s.longitude, (a.west + a.east) / 2, d.longitude) AS longitude,
        coalesce(s.latitude, (a.south + a.north) / 2, d.latitude) AS latitude
    FROM sensor s JOIN device d USING (device_id)
    LEFT JOIN asset a ON a.asset_id = s.asset_id LEFT JOIN sensor_state n USING (sensor_id)) located
WHERE sensor_id > %(after)s AND (%(fid)s::text IS NULL OR sensor_id::text = %(fid)s)
    AND (%(network)s::text IS NULL OR network = %(network)s)
    AND (%(since)s::timestamptz IS NULL OR ts >= %(since)s) AND (%(until)s::timestamptz IS NULL OR ts <= %(until)s)
    AND (%(west)s::float8 IS NULL
        OR (longitude BETWEEN %(west)s AND %(east)s AND latitude BETWEEN %(south)s AND %(north)s))
ORDER BY located.sensor_id LIMIT %(limit)s;

-- name: alerts
-- A page of alerts, open ones only where asked. The time of an alert reaches from when it was raised until it was closed.
SELECT l.alert_id, l.alert_id::text, CASE WHEN l.longitude IS NULL OR l.latitude IS NULL THEN 'null'
        ELSE json_build_object('type', 'Point', 'coordinates', json_build_array(l.longitude, l.latitude))::text END,
    json_build_object('id', l.alert_id, 'network', l.network, 'kind', l.kind, 'rule', l.rule,
        'level', (ARRAY['red', 'orange', 'yellow', 'blue'])[l.level], 'state', l.state,
        'title_en', l.evidence -> 'title' ->> 'en', 'title_zh', l.evidence -> 'title' ->> 'zh', 'asset', a.external_id,
        'device', d.external_id, 'raised_at', l.raised_at, 'returned_at', l.returned_at, 'closed_at', l.closed_at)::text
FROM alert l LEFT JOIN asset a ON a.asset_id = l.asset_id LEFT JOIN device d ON d.device_id = l.device_id
WHERE l.alert_id > %(after)s AND (%(fid)s::text IS NULL OR l.alert_id::text = %(fid)s)
    AND (NOT %(open)s OR l.closed_at IS NULL)
    AND (%(network)s::text IS NULL OR l.network = %(network)s)
    AND (%(since)s::timestamptz IS NULL OR coalesce(l.closed_at, 'infinity') >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR l.raised_at <= %(until)s)
    AND (%(west)s::float8 IS NULL
        OR (l.longitude BETWEEN %(west)s AND %(east)s AND l.latitude BETWEEN %(south)s AND %(north)s))
ORDER BY l.alert_id LIMIT %(limit)s;

-- name: reports
-- A page of citizens' reports. The time of a report is when the citizen saw it.
SELECT r.report_id, r.report_id::text, json_build_object('type', 'Point', 'coordinates', json_build_array(r.longitude, r.latitude))::text,
    json_build_object('id', r.report_id, 'category', r.category, 'text', r.text, 'place', r.place, 'source', r.source, 'state', r.state,
        'network', r.network, 'reported_at', r.reported_at, 'closed_at', r.closed_at)::text
FROM report r
WHERE r.report_id > %(after)s AND (%(fid)s::text IS NULL OR r.report_id::text = %(fid)s)
    AND (NOT %(open)s OR r.closed_at IS NULL)
    AND (%(network)s::text IS NULL OR r.network = %(network)s)
    AND (%(since)s::timestamptz IS NULL OR r.reported_at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR r.reported_at <= %(until)s)
    AND (%(west)s::float8 IS NULL
        OR (r.longitude BETWEEN %(west)s AND %(east)s AND r.latitude BETWEEN %(south)s AND %(north)s))
ORDER BY r.report_id LIMIT %(limit)s;

-- name: extent
-- Where the city's assets lie.
SELECT min(west), min(south), max(east), max(north) FROM asset;
