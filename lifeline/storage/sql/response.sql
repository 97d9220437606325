-- The response to alerts: one row for each alert that somebody has begun to respond to, and its history.

-- name: get_locked
-- The alert and its response, held until the transaction ends.
SELECT a.state, a.closed_at, coalesce(r.step, 'received'), coalesce(r.since, a.raised_at), coalesce(r.team, ''),
    coalesce(r.version, 0)
FROM alert a LEFT JOIN response r USING (alert_id) WHERE a.alert_id = %(alert_id)s FOR UPDATE OF a;

-- name: get
SELECT coalesce(r.step, 'received'), coalesce(r.since, a.raised_at), coalesce(r.team, ''), coalesce(r.version, 0)
FROM alert a LEFT JOIN response r USING (alert_id) WHERE a.alert_id = %(alert_id)s;

-- name: set
-- The next step, by compare-and-set on the version: 0 where there was no row yet.
INSERT INTO response AS r (alert_id, step, since, team)
VALUES (%(alert_id)s, %(step)s, %(now)s, %(team)s)
ON CONFLICT (alert_id) DO UPDATE SET step = excluded.step, since = excluded.since, team = excluded.team,
    overdue_told_at = NULL, version = r.version + 1
WHERE r.version = %(version)s
RETURNING step, since, team, version;

-- name: note
INSERT INTO response_history (alert_id, at, actor, action, from_step, to_step, team, note)
VALUES (%(alert_id)s, %(now)s, %(actor)s, %(action)s, %(from_step)s, %(to_step)s, %(team)s, %(note)s);

-- name: tell
INSERT INTO outbox (message_id, event_type, alert_id, created_at, body)
SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), %(message)s, a.alert_id, %(now)s,
    alert_message(a, %(message)s, %(now)s, %(actor)s, %(note)s)
FROM alert a WHERE a.alert_id = %(alert_id)s;

-- name: feed_back
INSERT INTO feedback (alert_id, at, actor, genuine, cause, note)
VALUES (%(alert_id)s, %(now)s, %(actor)s, %(genuine)s, %(cause)s, %(note)s);

-- name: history
-- What was done about one alert, oldest first.
SELECT at, actor, action, from_step, to_step, team, note FROM response_history
WHERE alert_id = %(alert_id)s ORDER BY history_id;

-- name: labels
-- The newest label of each alert that was raised in the period, with what it was about.
SELECT DISTINCT ON (f.alert_id) f.alert_id, a.rule, a.rule_version, a.network, a.subject_kind, a.subject_id, a.raised_at,
    f.genuine, f.cause, f.note, f.actor, f.at
FROM feedback f JOIN alert a USING (alert_id)
WHERE a.raised_at >= %(start)s AND a.raised_at < %(end)s AND (%(rule)s::text IS NULL OR a.rule = %(rule)s)
ORDER BY f.alert_id, f.feedback_id DESC;

-- name: overdue
-- Steps that are over their deadline, of risk alerts that are open or that somebody is busy with. The clock of a step
-- begins again when the level rises.
WITH deadline AS (
    SELECT * FROM unnest(%(steps)s::text[], %(levels)s::smallint[], %(seconds)s::float8[]) AS d (step, level, seconds)
), running AS (
    SELECT a.alert_id, a.network, a.level, coalesce(r.step, 'received') AS step, coalesce(r.team, '') AS team,
        greatest(coalesce(r.since, a.raised_at), (SELECT max(at) FROM alert_history h
            WHERE h.alert_id = a.alert_id AND h.action IN ('escalated', 'raised_again') AND h.at > a.raised_at)) AS since,
        r.overdue_told_at, coalesce(r.since, a.raised_at) AS step_since
    FROM alert a LEFT JOIN response r USING (alert_id)
    WHERE a.kind = 'risk' AND (a.closed_at IS NULL AND a.state NOT IN ('SHLVD', 'DSUPR', 'OOSRV')
        OR r.step IN ('confirmed', 'dispatched', 'on_site', 'handled', 'false_alarm'))
)
SELECT alert_id, network, level, step, team, since, since + make_interval(secs => seconds) AS due_at, step_since,
    overdue_told_at IS NOT NULL AND overdue_told_at >= since AS told
FROM running JOIN deadline USING (step, level)
WHERE since + make_interval(secs => seconds) <= %(now)s
ORDER BY level, due_at, alert_id;

-- name: mark_told
-- Notes that somebody was told of an overdue step; nothing where the step has changed meanwhile.
INSERT INTO response AS r (alert_id, step, since, team, overdue_told_at, version)
VALUES (%(alert_id)s, %(step)s, %(step_since)s, %(team)s, %(now)s, 0)
ON CONFLICT (alert_id) DO UPDATE SET overdue_told_at = excluded.overdue_told_at
WHERE r.step = excluded.step AND r.since = excluded.since
RETURNING alert_id;

-- name: archivable
-- What is fed back and whose alert is closed: there is nothing left to do.
SELECT r.alert_id FROM response r JOIN alert a USING (alert_id)
WHERE r.step = 'fed_back' AND a.closed_at IS NOT NULL AND greatest(r.since, a.closed_at) <= %(before)s
ORDER BY r.alert_id LIMIT 1000;
