-- Incidents: what their grouping reads, and what a tick writes. All of it in the transaction of the tick's alerts.

-- name: members
-- Open risk alerts, and of incidents that are open every alert that they ever had: these are evidence of the cause.
SELECT m.alert_id, m.version, coalesce(m.incident_id, 0), m.rule, m.network, coalesce(s.quantity, m.evidence ->> 'quantity', ''),
    m.level, m.closed_at IS NULL, m.state IN ('DSUPR', 'OOSRV'), coalesce(m.asset_id, 0), coalesce(a.kind, ''),
    coalesce(a.name, ''), coalesce(nullif(a.external_id, ''), d.external_id, ''), m.longitude, m.latitude,
    extract(epoch FROM m.first_seen)::float8, coalesce(m.evidence #>> '{origin,verdict}', ''),
    m.returned_at IS NULL, m.state IN ('SHLVD', 'DSUPR', 'OOSRV'), coalesce(extract(epoch FROM m.acknowledged_at)::float8, 0),
    coalesce(m.acknowledged_by, ''),
    ARRAY(SELECT jsonb_object_keys(CASE jsonb_typeof(m.evidence -> 'rules') WHEN 'object' THEN m.evidence -> 'rules' ELSE '{}' END)
        ORDER BY 1)
FROM (
    SELECT * FROM alert WHERE closed_at IS NULL AND kind = 'risk'
    UNION ALL
    SELECT alert.* FROM incident i JOIN alert USING (incident_id) WHERE i.closed_at IS NULL AND alert.closed_at IS NOT NULL
) m
LEFT JOIN sensor s ON s.sensor_id = m.sensor_id
LEFT JOIN asset a ON a.asset_id = m.asset_id
LEFT JOIN device d ON d.device_id = m.device_id
ORDER BY m.alert_id;

-- name: open
-- Incidents that are open, the oldest first.
SELECT incident_id, version, level, networks, causes, lead_alert, extract(epoch FROM first_seen)::float8, phase,
    extract(epoch FROM unattended_since)::float8
FROM incident WHERE closed_at IS NULL ORDER BY opened_at, incident_id;

-- name: fingerprint
-- Changes whenever an asset does: then the networks are read again.
SELECT (count(*), sum(xmin::text::bigint))::text FROM asset;

-- name: latitude
-- About where the city is: distances are measured in its plane.
SELECT coalesce((SELECT avg((south + north) / 2) FROM asset), (SELECT avg(latitude) FROM device), 0)::float8;

-- name: joints
-- What is joined to what, both ways of saying it.
SELECT array_agg(asset_id), array_agg(end_id) FROM (
    SELECT asset_id, from_asset AS end_id FROM asset WHERE from_asset IS NOT NULL
    UNION ALL SELECT asset_id, to_asset FROM asset WHERE to_asset IS NOT NULL
) joined;

-- name: gauges
-- Rain gauges in service, with where they stand.
SELECT s.sensor_id, coalesce(s.longitude, (a.west + a.east) / 2, d.longitude), coalesce(s.latitude, (a.south + a.north) / 2, d.latitude)
FROM sensor s JOIN device d USING (device_id) LEFT JOIN asset a ON a.asset_id = s.asset_id
WHERE s.quantity = 'rain' AND s.in_service AND coalesce(s.longitude, a.west, d.longitude) IS NOT NULL
ORDER BY s.sensor_id;

-- name: rain
-- Rain (mm) at gauges in the hours before some moments, a reading for the time since the one before, a quarter of an hour at most,
-- as the detectors take it (alerts/gauges.py); no row where nothing was measured.
SELECT w.sensor_id, w.until, sum(r.value * r.speaks_s) / 3600
FROM unnest(%(gauges)s::integer[], %(until)s::float8[]) AS w (sensor_id, until)
CROSS JOIN LATERAL (
    SELECT value, least(extract(epoch FROM ts - lag(ts) OVER (ORDER BY ts))::float8, 900) AS speaks_s
    FROM reading
    WHERE sensor_id = w.sensor_id AND ts > to_timestamp(w.until - %(span_s)s) AND ts <= to_timestamp(w.until)
        AND quality & %(implausible)s = 0
) r
GROUP BY w.sensor_id, w.until;

-- name: beside
-- Assets of some network and kind in some hexagons.
SELECT DISTINCT c.cell, a.asset_id, a.external_id, a.name, a.network, a.kind, a.geometry
FROM unnest(%(cells)s::text[], %(networks)s::text[], %(kinds)s::text[]) AS w (cell, network, kind)
JOIN asset_cell c ON c.cell = w.cell AND c.resolution = %(resolution)s
JOIN asset a ON a.asset_id = c.asset_id AND a.network = w.network AND a.kind = w.kind
ORDER BY a.asset_id, c.cell;

-- name: insert
-- Opens incidents. The place is that of the lead alert, under which the response is kept as well.
INSERT INTO incident (level, worst_level, networks, causes, lead_alert, longitude, latitude, first_seen, opened_at, updated_at,
    response_alert, unattended_since, phase)
SELECT w.level, w.level, string_to_array(w.networks, ','), w.causes, w.lead, a.longitude, a.latitude, w.first_seen, %(now)s, %(now)s,
    w.lead, %(now)s, w.phase
FROM ROWS FROM (unnest(%(levels)s::smallint[], %(networks)s::text[], %(leads)s::bigint[], %(first_seen)s::timestamptz[],
    %(phases)s::text[]), jsonb_array_elements(%(causes)s::jsonb)) AS w (level, networks, lead, first_seen, phase, causes)
JOIN alert a ON a.alert_id = w.lead
ORDER BY w.level, w.lead
RETURNING incident_id, lead_alert;

-- name: update
-- Changes incidents by compare-and-set on their version; what comes back are those that changed.
WITH wanted AS (
    SELECT * FROM ROWS FROM (unnest(%(ids)s::bigint[], %(versions)s::integer[], %(levels)s::smallint[], %(networks)s::text[],
        %(leads)s::bigint[], %(first_seen)s::timestamptz[], %(closed)s::boolean[], %(into)s::bigint[], %(phases)s::text[],
        %(attention)s::text[], %(takers)s::text[]), jsonb_array_elements(%(causes)s::jsonb))
    AS w (incident_id, version, level, networks, lead, first_seen, closed, into_id, phase, attention, taker, causes)
)
UPDATE incident i SET
    level = w.level, worst_level = least(i.worst_level, w.level), networks = string_to_array(w.networks, ','), causes = w.causes,
    lead_alert = w.lead, longitude = a.longitude, latitude = a.latitude, first_seen = w.first_seen,
    updated_at = %(now)s, version = i.version + 1, merged_into = w.into_id, phase = w.phase,
    unattended_since = CASE w.attention WHEN 'asked' THEN %(now)s WHEN 'kept' THEN i.unattended_since END,
    acknowledged_at = CASE WHEN w.attention = 'taken' THEN %(now)s ELSE i.acknowledged_at END,
    acknowledged_by = CASE WHEN w.attention = 'taken' THEN w.taker ELSE i.acknowledged_by END,
    state = CASE WHEN w.closed THEN 'closed' ELSE 'open' END, closed_at = CASE WHEN w.closed THEN %(now)s::timestamptz END
FROM wanted w JOIN alert a ON a.alert_id = w.lead
WHERE i.incident_id = w.incident_id AND i.version = w.version AND i.closed_at IS NULL
RETURNING i.incident_id;

-- name: assign
-- Alerts to their incident. An alert's version stays: its life cycle has not moved.
UPDATE alert a SET incident_id = w.incident_id
FROM unnest(%(alerts)s::bigint[], %(incidents)s::bigint[]) AS w (alert_id, incident_id)
WHERE a.alert_id = w.alert_id AND a.incident_id IS DISTINCT FROM w.incident_id;

-- name: hand_over
-- All alerts of incidents that are merged, the closed ones too.
UPDATE alert a SET incident_id = w.into_id
FROM unnest(%(merged)s::bigint[], %(into)s::bigint[]) AS w (incident_id, into_id)
WHERE a.incident_id = w.incident_id;

-- name: adopt_response
-- An incident that took others in goes on with the response that is furthest, of those the oldest.
UPDATE incident i SET response_alert = best.alert_id
FROM unnest(%(into)s::bigint[]) AS w (incident_id)
CROSS JOIN LATERAL (
    SELECT h.response_alert AS alert_id
    FROM incident h LEFT JOIN response r ON r.alert_id = h.response_alert
    WHERE h.incident_id = w.incident_id OR h.merged_into = w.incident_id
    ORDER BY array_position(ARRAY['on_site', 'dispatched', 'confirmed', 'handled', 'fed_back', 'false_alarm'], r.step) NULLS LAST,
        h.incident_id
    LIMIT 1
) best
WHERE i.incident_id = w.incident_id AND i.response_alert <> best.alert_id;

-- name: note
-- History, in the order given.
INSERT INTO incident_history (incident_id, at, actor, action, from_level, to_level, cause, alerts, other)
SELECT w.incident_id, %(now)s, w.actor, w.action, w.from_level, w.to_level, w.cause,
    CASE WHEN w.alerts = '' THEN '{}' ELSE string_to_array(w.alerts, ',')::bigint[] END, w.other
FROM unnest(%(ids)s::bigint[], %(actions)s::text[], %(from_levels)s::smallint[], %(to_levels)s::smallint[], %(causes)s::text[],
    %(alerts)s::text[], %(others)s::bigint[], %(actors)s::text[]) WITH ORDINALITY
    AS w (incident_id, action, from_level, to_level, cause, alerts, other, actor, place)
ORDER BY w.place;

-- name: tell
-- Messages; the fan-out plans their deliveries.
INSERT INTO outbox (message_id, event_type, incident_id, created_at, body)
SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), w.event_type, i.incident_id, %(now)s,
    incident_message(i, w.event_type, %(now)s, w.actor, %(note)s)
FROM unnest(%(ids)s::bigint[], %(messages)s::text[], %(actors)s::text[]) AS w (incident_id, event_type, actor)
JOIN incident i USING (incident_id)
ORDER BY i.incident_id;

-- name: notify
-- Tells whoever listens that incidents changed; it is heard when the transaction commits.
SELECT pg_notify('lifeline_changed', jsonb_build_object('what', 'incident', 'count', %(count)s::int)::text);

-- name: list_newest
-- A page of incidents, the newest first. Alerts, networks, lead and place are of those that the reader sees: who has a part of the
-- city learns of an event that reaches beyond it nothing but its level and cause.
SELECT i.incident_id, i.state, i.level, i.worst_level, m.networks, i.causes, l.alert_id, l.longitude, l.latitude, i.first_seen,
    i.opened_at, i.updated_at, i.closed_at, i.merged_into, i.version, i.phase, i.unattended_since, i.acknowledged_at,
    i.acknowledged_by, i.response_alert, a.external_id, a.name, m.alerts, m.open, m.ids
FROM incident i
CROSS JOIN LATERAL (
    SELECT count(*) AS alerts, count(*) FILTER (WHERE closed_at IS NULL) AS open,
        coalesce((array_agg(alert_id ORDER BY closed_at IS NOT NULL, level, first_seen, alert_id))[:100], '{}') AS ids,
        CASE WHEN count(*) = 0 THEN i.networks
            ELSE ARRAY(SELECT unnest(i.networks) INTERSECT SELECT unnest(array_agg(network)) ORDER BY 1) END AS networks,
        CASE WHEN count(*) = 0 OR bool_or(alert_id = i.lead_alert) THEN i.lead_alert
            ELSE (array_agg(alert_id ORDER BY closed_at IS NOT NULL, level, first_seen, alert_id))[1] END AS lead
    FROM alert WHERE alert.incident_id = i.incident_id
) m
LEFT JOIN alert l ON l.alert_id = m.lead
LEFT JOIN asset a ON a.asset_id = l.asset_id
WHERE (%(after_at)s::timestamptz IS NULL OR (i.opened_at, i.incident_id) < (%(after_at)s, %(after_id)s))
    AND (%(open)s::bool IS NULL OR (i.closed_at IS NULL) = %(open)s)
    AND (%(levels)s::int[] IS NULL OR i.level = ANY(%(levels)s))
    AND (%(network)s::text IS NULL OR %(network)s = ANY(m.networks))
    AND (%(cause)s::text IS NULL OR i.causes -> 0 ->> 'cause' = %(cause)s)
ORDER BY i.opened_at DESC, i.incident_id DESC LIMIT %(limit)s;

-- name: list_worst
-- A page of incidents, the worst first and the newest of a level first.
SELECT i.incident_id, i.state, i.level, i.worst_level, m.networks, i.causes, l.alert_id, l.longitude, l.latitude, i.first_seen,
    i.opened_at, i.updated_at, i.closed_at, i.merged_into, i.version, i.phase, i.unattended_since, i.acknowledged_at,
    i.acknowledged_by, i.response_alert, a.external_id, a.name, m.alerts, m.open, m.ids
FROM incident i
CROSS JOIN LATERAL (
    SELECT count(*) AS alerts, count(*) FILTER (WHERE closed_at IS NULL) AS open,
        coalesce((array_agg(alert_id ORDER BY closed_at IS NOT NULL, level, first_seen, alert_id))[:100], '{}') AS ids,
        CASE WHEN count(*) = 0 THEN i.networks
            ELSE ARRAY(SELECT unnest(i.networks) INTERSECT SELECT unnest(array_agg(network)) ORDER BY 1) END AS networks,
        CASE WHEN count(*) = 0 OR bool_or(alert_id = i.lead_alert) THEN i.lead_alert
            ELSE (array_agg(alert_id ORDER BY closed_at IS NOT NULL, level, first_seen, alert_id))[1] END AS lead
    FROM alert WHERE alert.incident_id = i.incident_id
) m
LEFT JOIN alert l ON l.alert_id = m.lead
LEFT JOIN asset a ON a.asset_id = l.asset_id
WHERE (%(after_at)s::timestamptz IS NULL OR i.level > %(after_level)s
        OR (i.level = %(after_level)s AND (i.opened_at, i.incident_id) < (%(after_at)s, %(after_id)s)))
    AND (%(open)s::bool IS NULL OR (i.closed_at IS NULL) = %(open)s)
    AND (%(levels)s::int[] IS NULL OR i.level = ANY(%(levels)s))
    AND (%(network)s::text IS NULL OR %(network)s = ANY(m.networks))
    AND (%(cause)s::text IS NULL OR i.causes -> 0 ->> 'cause' = %(cause)s)
ORDER BY i.level, i.opened_at DESC, i.incident_id DESC LIMIT %(limit)s;

-- name: get
-- One incident, as in the lists.
SELECT i.incident_id, i.state, i.level, i.worst_level, m.networks, i.causes, l.alert_id, l.longitude, l.latitude, i.first_seen,
    i.opened_at, i.updated_at, i.closed_at, i.merged_into, i.version, i.phase, i.unattended_since, i.acknowledged_at,
    i.acknowledged_by, i.response_alert, a.external_id, a.name, m.alerts, m.open, m.ids
FROM incident i
CROSS JOIN LATERAL (
    SELECT count(*) AS alerts, count(*) FILTER (WHERE closed_at IS NULL) AS open,
        coalesce((array_agg(alert_id ORDER BY closed_at IS NOT NULL, level, first_seen, alert_id))[:100], '{}') AS ids,
        CASE WHEN count(*) = 0 THEN i.networks
            ELSE ARRAY(SELECT unnest(i.networks) INTERSECT SELECT unnest(array_agg(network)) ORDER BY 1) END AS networks,
        CASE WHEN count(*) = 0 OR bool_or(alert_id = i.lead_alert) THEN i.lead_alert
            ELSE (array_agg(alert_id ORDER BY closed_at IS NOT NULL, level, first_seen, alert_id))[1] END AS lead
    FROM alert WHERE alert.incident_id = i.incident_id
) m
LEFT JOIN alert l ON l.alert_id = m.lead
LEFT JOIN asset a ON a.asset_id = l.asset_id
WHERE i.incident_id = %(incident_id)s;

-- name: alerts
-- The alerts of an incident: open ones first, the worst first.
SELECT m.alert_id, m.level, m.state, m.network, m.rule, m.evidence -> 'title', a.external_id, a.name, m.longitude, m.latitude,
    m.first_seen, m.raised_at, m.returned_at, m.closed_at
FROM alert m LEFT JOIN asset a USING (asset_id)
WHERE m.incident_id = %(incident_id)s
ORDER BY m.closed_at IS NOT NULL, m.level, m.first_seen, m.alert_id LIMIT %(limit)s;

-- name: history
-- What happened to an incident, oldest first, with those of its alerts that the reader sees.
SELECT at, actor, action, from_level, to_level, cause,
    ARRAY(SELECT alert_id FROM unnest(alerts) WITH ORDINALITY AS came (alert_id, place) JOIN alert USING (alert_id) ORDER BY place),
    other
FROM incident_history
WHERE incident_id = %(incident_id)s ORDER BY history_id;

-- name: of_alert
-- The incident of an alert; NULL where it has none.
SELECT incident_id FROM alert WHERE alert_id = %(alert_id)s;

-- name: alert_ids
-- The open alerts of an incident.
SELECT alert_id FROM alert WHERE incident_id = %(incident_id)s AND closed_at IS NULL ORDER BY alert_id;

-- name: open_by_level
-- How many incidents are open, by level: for metrics.
SELECT level, count(*) FROM incident WHERE closed_at IS NULL GROUP BY level;
