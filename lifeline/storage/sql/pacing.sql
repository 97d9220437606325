-- What is told later, together, again, or to somebody else. Each makes messages with their deliveries, past the fan-out.

-- name: flush_groups
-- Groups whose wait is over: one message goes as it is, several become one message that holds the newest 30 of them.
WITH ripe AS (
    SELECT e.endpoint_id, d.group_key, count(*) AS messages, min(d.level) AS level, end_of_quiet(e, %(now)s) AS quiet_until,
        'msg_' || replace(gen_random_uuid()::text, '-', '') AS message_id
    FROM delivery d JOIN endpoint e USING (endpoint_id) LEFT JOIN delivery_group g USING (endpoint_id, group_key)
    WHERE d.state = 'held' AND e.enabled
    GROUP BY e.endpoint_id, d.group_key, g.flushed_at
    HAVING min(d.held_at) + make_interval(secs => e.group_wait_s) <= %(now)s
        AND coalesce(g.flushed_at + make_interval(secs => e.group_interval_s) <= %(now)s, true)
), noted AS (
    INSERT INTO delivery_group (endpoint_id, group_key, flushed_at)
    SELECT endpoint_id, group_key, greatest(quiet_until, %(now)s) FROM ripe
    ON CONFLICT (endpoint_id, group_key) DO UPDATE SET flushed_at = excluded.flushed_at
), lone AS (
    UPDATE delivery d SET state = 'pending', next_attempt_at = coalesce(r.quiet_until, %(now)s)
    FROM ripe r WHERE r.messages = 1 AND d.endpoint_id = r.endpoint_id AND d.group_key = r.group_key AND d.state = 'held'
), made AS (
    INSERT INTO outbox (message_id, event_type, created_at, body, fanned_out)
    SELECT r.message_id, 'alert.group', %(now)s, jsonb_build_object('type', 'alert.group', 'timestamp', %(now)s::timestamptz,
        'data', jsonb_build_object('alert_id', NULL, 'group', r.group_key, 'count', r.messages,
            'level', (ARRAY['red', 'orange', 'yellow', 'blue'])[r.level], 'messages', newest.bodies)), true
    FROM ripe r CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_set(body, '{data}', (body -> 'data') - 'evidence' - 'advice')) AS bodies FROM (
            SELECT o.body FROM delivery d JOIN outbox o USING (outbox_id)
            WHERE d.endpoint_id = r.endpoint_id AND d.group_key = r.group_key AND d.state = 'held'
            ORDER BY o.outbox_id DESC LIMIT 30) few
    ) newest
    WHERE r.messages > 1
    ORDER BY r.endpoint_id, r.group_key
    RETURNING outbox_id, message_id
), planned AS (
    INSERT INTO delivery (outbox_id, endpoint_id, level, next_attempt_at)
    SELECT m.outbox_id, r.endpoint_id, r.level, coalesce(r.quiet_until, %(now)s) FROM made m JOIN ripe r USING (message_id)
    ORDER BY m.outbox_id
), taken AS (
    UPDATE delivery d SET state = 'grouped', grouped_into = m.outbox_id
    FROM made m JOIN ripe r USING (message_id)
    WHERE d.endpoint_id = r.endpoint_id AND d.group_key = r.group_key AND d.state = 'held'
)
SELECT count(*) FROM ripe;

-- name: remind
-- Alerts that nobody has acknowledged, told again to those who were told, ``repeat_s`` after they were told last; the worst
-- thousand at a time, so that a storm makes no transaction of minutes: the next turn goes on.
WITH waiting AS MATERIALIZED (
    -- The time of the raise first: it is cheap, and nobody was told of an alert before it.
    SELECT a.alert_id, a.level, a AS row FROM alert a
    WHERE a.closed_at IS NULL AND a.state = 'UNACK'
        AND a.raised_at + make_interval(secs => (SELECT min(repeat_s) FROM endpoint)) <= %(now)s
), worst AS MATERIALIZED (
    SELECT alert_id, min(to_level) AS level FROM alert_history WHERE alert_id IN (SELECT alert_id FROM waiting) GROUP BY alert_id
), told AS MATERIALIZED (
    SELECT o.alert_id, d.endpoint_id, max(o.created_at) AS at
    FROM outbox o JOIN delivery d USING (outbox_id) JOIN endpoint e USING (endpoint_id)
    WHERE e.repeat_s IS NOT NULL AND o.alert_id IN (SELECT alert_id FROM waiting)
    GROUP BY o.alert_id, d.endpoint_id
), due AS MATERIALIZED (
    SELECT e.endpoint_id, w.alert_id, w.level, told.at, w.row, 'msg_' || replace(gen_random_uuid()::text, '-', '') AS message_id
    FROM told JOIN waiting w USING (alert_id) JOIN worst USING (alert_id) JOIN endpoint e USING (endpoint_id)
    WHERE told.at + make_interval(secs => e.repeat_s) <= %(now)s AND wants(e, w.row, worst.level)
        AND hears(e, 'alert.reminder', false, (w.row).incident_id IS NOT NULL)
        AND (w.level = 1 OR end_of_quiet(e, %(now)s) IS NULL)
    ORDER BY w.level, told.at, w.alert_id, e.endpoint_id
    LIMIT 1000
), made AS (
    INSERT INTO outbox (message_id, event_type, alert_id, created_at, body, fanned_out)
    SELECT message_id, 'alert.reminder', alert_id, %(now)s, alert_message(row, 'alert.reminder', %(now)s, 'reminder', ''), true
    FROM due ORDER BY level, at, alert_id, endpoint_id RETURNING outbox_id, message_id
), planned AS (
    INSERT INTO delivery (outbox_id, endpoint_id, level, next_attempt_at)
    SELECT m.outbox_id, d.endpoint_id, d.level, %(now)s FROM made m JOIN due d USING (message_id) ORDER BY m.outbox_id
)
SELECT count(*) FROM due;

-- name: remind_incidents
-- The same of incidents that nobody attends to and that are in alarm: one reminder for the event, however many alerts it has.
WITH waiting AS MATERIALIZED (
    SELECT i.incident_id, i.level, i AS row FROM incident i
    WHERE i.closed_at IS NULL AND i.unattended_since IS NOT NULL AND i.phase = 'alarm'
        AND i.opened_at + make_interval(secs => (SELECT min(repeat_s) FROM endpoint)) <= %(now)s
        AND NOT EXISTS (SELECT FROM alert a WHERE a.incident_id = i.incident_id AND a.acknowledged_at >= i.unattended_since)
), told AS MATERIALIZED (
    SELECT o.incident_id, d.endpoint_id, max(o.created_at) AS at
    FROM outbox o JOIN delivery d USING (outbox_id) JOIN endpoint e USING (endpoint_id)
    WHERE e.repeat_s IS NOT NULL AND o.incident_id IN (SELECT incident_id FROM waiting)
    GROUP BY o.incident_id, d.endpoint_id
), due AS MATERIALIZED (
    SELECT e.endpoint_id, w.incident_id, w.level, told.at, w.row, 'msg_' || replace(gen_random_uuid()::text, '-', '') AS message_id
    FROM told JOIN waiting w USING (incident_id) JOIN endpoint e USING (endpoint_id)
    WHERE told.at + make_interval(secs => e.repeat_s) <= %(now)s AND wants(e, w.row) AND hears(e, 'incident.reminder', true, true)
        AND (w.level = 1 OR end_of_quiet(e, %(now)s) IS NULL)
    ORDER BY w.level, told.at, w.incident_id, e.endpoint_id
    LIMIT 1000
), made AS (
    INSERT INTO outbox (message_id, event_type, incident_id, created_at, body, fanned_out)
    SELECT message_id, 'incident.reminder', incident_id, %(now)s,
        incident_message(row, 'incident.reminder', %(now)s, 'reminder', ''), true
    FROM due ORDER BY level, at, incident_id, endpoint_id RETURNING outbox_id, message_id
), planned AS (
    INSERT INTO delivery (outbox_id, endpoint_id, level, next_attempt_at)
    SELECT m.outbox_id, d.endpoint_id, d.level, %(now)s FROM made m JOIN due d USING (message_id) ORDER BY m.outbox_id
)
SELECT count(*) FROM due;

-- name: escalate
-- Alerts that nobody has acknowledged go through the stages of their chain, once each time that they become so. Where red
-- could not be delivered to anybody in five attempts, its first stage does not wait. A thousand at a time as well.
WITH waiting AS (
    SELECT a.alert_id, a.level, a.network, a.kind, a AS row, coalesce(r.team, '') AS team, since.at AS since,
        a.level = 1 AND tried.failing AND NOT tried.delivered AS unreached
    FROM alert a LEFT JOIN response r USING (alert_id)
    CROSS JOIN LATERAL (SELECT max(at) AS at FROM alert_history h
        WHERE h.alert_id = a.alert_id AND h.to_state = 'UNACK' AND h.action <> 'deescalated') since
    CROSS JOIN LATERAL (SELECT coalesce(bool_or(d.attempts >= 5 AND d.state <> 'delivered'), false) AS failing,
            coalesce(bool_or(d.state = 'delivered'), false) AS delivered
        FROM outbox o JOIN delivery d USING (outbox_id)
        WHERE o.alert_id = a.alert_id AND o.created_at >= since.at) tried
    WHERE a.closed_at IS NULL AND a.state = 'UNACK'
        AND (a.raised_at + make_interval(secs => (SELECT min(after_s) FROM escalation)) <= %(now)s
            OR a.level = 1 AND EXISTS (SELECT FROM escalation))
), stages AS (
    SELECT w.*, s.escalation_id, s.endpoint_id, s.after_s, min(s.after_s) OVER (PARTITION BY w.alert_id) AS first_after_s
    FROM waiting w
    JOIN escalation s ON w.level <= s.level AND (s.network IS NULL OR s.network = w.network) AND (s.team IS NULL OR s.team = w.team)
    JOIN endpoint e ON e.endpoint_id = s.endpoint_id AND e.enabled AND w.kind = ANY (e.kinds)
        AND (e.scope = 'alert' OR (w.row).incident_id IS NULL)
), told AS (
    INSERT INTO escalation_told (alert_id, escalation_id, since, told_at)
    SELECT alert_id, escalation_id, since, %(now)s FROM stages
    WHERE (since + make_interval(secs => after_s) <= %(now)s OR unreached AND after_s = first_after_s)
        AND NOT EXISTS (SELECT FROM escalation_told t
            WHERE t.alert_id = stages.alert_id AND t.escalation_id = stages.escalation_id AND t.since = stages.since)
    ORDER BY level, since, alert_id, escalation_id
    LIMIT 1000
    ON CONFLICT DO NOTHING
    RETURNING alert_id, escalation_id
), due AS (
    SELECT s.*, 'msg_' || replace(gen_random_uuid()::text, '-', '') AS message_id FROM told JOIN stages s USING (alert_id, escalation_id)
), made AS (
    INSERT INTO outbox (message_id, event_type, alert_id, created_at, body, fanned_out)
    SELECT message_id, 'alert.unattended', alert_id, %(now)s, alert_message(row, 'alert.unattended', %(now)s, 'escalation', ''), true
    FROM due ORDER BY level, since, alert_id, escalation_id RETURNING outbox_id, message_id
), planned AS (
    INSERT INTO delivery (outbox_id, endpoint_id, level, next_attempt_at)
    SELECT m.outbox_id, d.endpoint_id, d.level, %(now)s FROM made m JOIN due d USING (message_id) ORDER BY m.outbox_id
)
SELECT count(*) FROM due;


-- name: escalate_incidents
-- The same of incidents, to stages whose endpoint is told by incident: once each time that nobody attends, however many alerts
-- the event makes. A chain is that of the worst network and of the team that has the incident.
WITH waiting AS (
    SELECT i.incident_id, i.level, i.networks, i AS row, coalesce(r.team, '') AS team, i.unattended_since AS since,
        i.level = 1 AND tried.failing AND NOT tried.delivered AS unreached
    FROM incident i LEFT JOIN response r ON r.alert_id = i.response_alert
    CROSS JOIN LATERAL (SELECT coalesce(bool_or(d.attempts >= 5 AND d.state <> 'delivered'), false) AS failing,
            coalesce(bool_or(d.state = 'delivered'), false) AS delivered
        FROM outbox o JOIN delivery d USING (outbox_id)
        WHERE o.incident_id = i.incident_id AND o.created_at >= i.unattended_since) tried
    WHERE i.closed_at IS NULL AND i.unattended_since IS NOT NULL AND i.phase = 'alarm'
        AND NOT EXISTS (SELECT FROM alert a WHERE a.incident_id = i.incident_id AND a.acknowledged_at >= i.unattended_since)
        AND (i.unattended_since + make_interval(secs => (SELECT min(after_s) FROM escalation)) <= %(now)s
            OR i.level = 1 AND EXISTS (SELECT FROM escalation))
), stages AS (
    SELECT w.*, s.escalation_id, s.endpoint_id, s.after_s, min(s.after_s) OVER (PARTITION BY w.incident_id) AS first_after_s
    FROM waiting w
    JOIN escalation s ON w.level <= s.level AND (s.network IS NULL OR s.network = ANY (w.networks))
        AND (s.team IS NULL OR s.team = w.team)
    JOIN endpoint e ON e.endpoint_id = s.endpoint_id AND e.enabled AND 'risk' = ANY (e.kinds) AND e.scope = 'incident'
), told AS (
    INSERT INTO incident_escalation_told (incident_id, escalation_id, since, told_at)
    SELECT incident_id, escalation_id, since, %(now)s FROM stages
    WHERE (since + make_interval(secs => after_s) <= %(now)s OR unreached AND after_s = first_after_s)
        AND NOT EXISTS (SELECT FROM incident_escalation_told t
            WHERE t.incident_id = stages.incident_id AND t.escalation_id = stages.escalation_id AND t.since = stages.since)
    ORDER BY level, since, incident_id, escalation_id
    LIMIT 1000
    ON CONFLICT DO NOTHING
    RETURNING incident_id, escalation_id
), due AS (
    SELECT s.*, 'msg_' || replace(gen_random_uuid()::text, '-', '') AS message_id
    FROM told JOIN stages s USING (incident_id, escalation_id)
), made AS (
    INSERT INTO outbox (message_id, event_type, incident_id, created_at, body, fanned_out)
    SELECT message_id, 'incident.unattended', incident_id, %(now)s,
        incident_message(row, 'incident.unattended', %(now)s, 'escalation', ''), true
    FROM due ORDER BY level, since, incident_id, escalation_id RETURNING outbox_id, message_id
), planned AS (
    INSERT INTO delivery (outbox_id, endpoint_id, level, next_attempt_at)
    SELECT m.outbox_id, d.endpoint_id, d.level, %(now)s FROM made m JOIN due d USING (message_id) ORDER BY m.outbox_id
)
SELECT count(*) FROM due;
