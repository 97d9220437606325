-- name: raise
-- Opens alerts, in one statement with their history and messages. Where one of the same (subject, rule) is open already,
-- the partial unique index says so and nothing happens: what comes back are the alerts that this statement opened.
-- The place and the network are those of the subject: the sensor's own position, else its asset's, else its device's.
WITH wanted AS (
    SELECT * FROM jsonb_to_recordset(%(wanted)s) AS w (
        subject_kind text, subject_id bigint, rule text, rule_version text, kind text, level smallint,
        first_seen timestamptz, evidence jsonb, message text)
), raised AS (
    INSERT INTO alert AS opened (subject_kind, subject_id, rule, rule_version, kind, network, level, state, sensor_id, device_id,
        asset_id, longitude, latitude, evidence, first_seen, raised_at, updated_at)
    SELECT w.subject_kind, w.subject_id, w.rule, w.rule_version, w.kind, coalesce(d.network, a.network), w.level, 'UNACK',
        s.sensor_id, d.device_id, a.asset_id,
        coalesce(s.longitude, (a.west + a.east) / 2, d.longitude), coalesce(s.latitude, (a.south + a.north) / 2, d.latitude),
        w.evidence, w.first_seen, %(now)s, %(now)s
    FROM wanted w
    LEFT JOIN sensor s ON w.subject_kind = 'sensor' AND s.sensor_id = w.subject_id
    LEFT JOIN device d ON d.device_id = CASE w.subject_kind WHEN 'sensor' THEN s.device_id WHEN 'device' THEN w.subject_id END
    LEFT JOIN asset a ON a.asset_id = CASE w.subject_kind WHEN 'sensor' THEN s.asset_id WHEN 'asset' THEN w.subject_id END
    WHERE coalesce(d.network, a.network) IS NOT NULL
    ORDER BY w.level, w.subject_id, w.subject_kind, w.rule
    ON CONFLICT (subject_kind, subject_id, rule) WHERE closed_at IS NULL DO NOTHING
    RETURNING opened.*, opened AS row
), told AS (
    INSERT INTO outbox (message_id, event_type, alert_id, created_at, body)
    SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), w.message, r.alert_id, %(now)s,
        alert_message(r.row, w.message, %(now)s, %(actor)s, '')
    FROM raised r JOIN wanted w USING (subject_kind, subject_id, rule)
    ORDER BY r.alert_id
), noted AS (
    INSERT INTO alert_history (alert_id, at, actor, action, from_state, to_state, from_level, to_level, evidence)
    SELECT alert_id, %(now)s, %(actor)s, 'raised', NULL, state, NULL, level, evidence FROM raised
)
SELECT alert_id, subject_kind, subject_id, rule, kind, network, level, state, raised_at, updated_at, version, evidence,
    sensor_id, device_id, asset_id, longitude, latitude, acknowledged_at, acknowledged_by, returned_at, closed_at
FROM raised ORDER BY alert_id;

-- name: change
-- Moves alerts on by compare-and-set on their version, in one statement with their history and messages.
-- What comes back are the alerts that moved; one that is missing had been changed by somebody else meanwhile.
WITH wanted AS (
    SELECT * FROM jsonb_to_recordset(%(wanted)s) AS w (
        alert_id bigint, version integer, state text, active boolean, level smallint, action text, evidence jsonb,
        message text)
), locked AS (
    -- In order of id, so that two who change the same alerts wait for each other instead of dead-locking.
    SELECT a.alert_id, a.state AS from_state, a.level AS from_level
    FROM alert a JOIN wanted w USING (alert_id)
    WHERE a.version = w.version AND a.closed_at IS NULL
    ORDER BY a.alert_id FOR NO KEY UPDATE OF a
), changed AS (
    UPDATE alert a SET
        state = w.state, level = w.level, evidence = coalesce(w.evidence, a.evidence), version = a.version + 1,
        updated_at = %(now)s,
        acknowledged_at = CASE WHEN w.action = 'acknowledged' THEN %(now)s WHEN w.state <> 'UNACK' THEN a.acknowledged_at END,
        acknowledged_by = CASE WHEN w.action = 'acknowledged' THEN %(actor)s WHEN w.state <> 'UNACK' THEN a.acknowledged_by END,
        returned_at = CASE WHEN NOT w.active THEN coalesce(a.returned_at, %(now)s) END,
        closed_at = CASE WHEN w.state = 'NORM' THEN %(now)s::timestamptz END
    FROM wanted w JOIN locked l USING (alert_id)
    WHERE a.alert_id = w.alert_id AND a.version = w.version AND a.closed_at IS NULL
    RETURNING a.*, a AS row, l.from_state, l.from_level, w.action, w.message, w.evidence AS new_evidence
), told AS (
    INSERT INTO outbox (message_id, event_type, alert_id, created_at, body)
    SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), message, alert_id, %(now)s,
        alert_message(row, message, %(now)s, %(actor)s, %(note)s)
    FROM changed WHERE message IS NOT NULL ORDER BY alert_id
), noted AS (
    INSERT INTO alert_history (alert_id, at, actor, action, from_state, to_state, from_level, to_level, note, evidence)
    SELECT alert_id, %(now)s, %(actor)s, action, from_state, state, from_level, level, %(note)s, new_evidence FROM changed
    ORDER BY alert_id
)
SELECT alert_id, subject_kind, subject_id, rule, kind, network, level, state, raised_at, updated_at, version, evidence,
    sensor_id, device_id, asset_id, longitude, latitude, acknowledged_at, acknowledged_by, returned_at, closed_at
FROM changed ORDER BY alert_id;

-- name: notify
-- Tells whoever listens that alerts changed; it is heard when the transaction commits.
SELECT pg_notify('lifeline_changed', jsonb_build_object('what', 'alert', 'count', %(count)s::int)::text);

-- name: get
SELECT alert_id, subject_kind, subject_id, rule, kind, network, level, state, raised_at, updated_at, version, evidence,
    sensor_id, device_id, asset_id, longitude, latitude, acknowledged_at, acknowledged_by, returned_at, closed_at
FROM alert WHERE alert_id = %(alert_id)s;

-- name: get_locked
-- The same, held until the transaction ends.
SELECT alert_id, subject_kind, subject_id, rule, kind, network, level, state, raised_at, updated_at, version, evidence,
    sensor_id, device_id, asset_id, longitude, latitude, acknowledged_at, acknowledged_by, returned_at, closed_at
FROM alert WHERE alert_id = %(alert_id)s FOR NO KEY UPDATE;

-- name: take_turn
-- Who changes several alerts does so alone; also, two processes that both believe to lead would open two incidents for one event.
SELECT pg_advisory_xact_lock(%(key)s);

-- name: get_many_locked
-- Several, in the order in which everybody locks.
SELECT alert_id, subject_kind, subject_id, rule, kind, network, level, state, raised_at, updated_at, version, evidence,
    sensor_id, device_id, asset_id, longitude, latitude, acknowledged_at, acknowledged_by, returned_at, closed_at
FROM alert WHERE alert_id = ANY (%(alert_ids)s) ORDER BY alert_id FOR NO KEY UPDATE;

-- name: known
SELECT alert_id FROM alert WHERE alert_id = ANY (%(alert_ids)s) ORDER BY alert_id;

-- name: list_open
-- Open alerts, worst first, the newest of a level first.
SELECT alert_id, subject_kind, subject_id, rule, kind, network, level, state, raised_at, updated_at, version, evidence,
    sensor_id, device_id, asset_id, longitude, latitude, acknowledged_at, acknowledged_by, returned_at, closed_at
FROM alert
WHERE closed_at IS NULL AND level <= %(mildest)s
    AND (%(network)s::text IS NULL OR network = %(network)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
ORDER BY level, raised_at DESC, alert_id DESC
LIMIT %(limit)s;

-- name: history
-- What happened to one alert, oldest first.
SELECT at, actor, action, from_state, to_state, from_level, to_level, note, evidence
FROM alert_history WHERE alert_id = %(alert_id)s ORDER BY history_id;

-- name: worst_moment
-- The newest evidence of the worst level that an alert reached, of what was measured against an expected value.
SELECT evidence FROM alert_history
WHERE alert_id = %(alert_id)s AND action IN ('raised', 'raised_again', 'escalated')
    AND jsonb_typeof(evidence -> 'expected') = 'number'
ORDER BY to_level, history_id DESC LIMIT 1;

-- name: open_by_level
-- How many alerts are open, by network, kind and level: for metrics.
SELECT network, kind, level, count(*) FROM alert WHERE closed_at IS NULL GROUP BY network, kind, level;

-- name: returns
-- How often each of these (subject, rule) has returned to normal since then, in whatever alert; those that did.
SELECT q.place, count(*)
FROM unnest(%(kinds)s::text[], %(ids)s::bigint[], %(rules)s::text[]) WITH ORDINALITY AS q (kind, id, rule, place)
JOIN alert a ON a.subject_kind = q.kind AND a.subject_id = q.id AND a.rule = q.rule
JOIN alert_history h ON h.alert_id = a.alert_id AND h.action = 'returned' AND h.at > %(since)s
GROUP BY q.place;
