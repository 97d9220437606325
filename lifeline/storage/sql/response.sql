-- The response to alerts: one row for each alert that somebody has begun to respond to, and its history.

-- The response to an incident is kept under one of its alerts (incident.response_alert): its holder. Every alert of the
-- incident shares it. An alert without an incident holds its own. Who sees a part of the city may see another of the incident's
-- alerts and not the holder: what follows on `holder`, which names an alert that he sees, reads it past the policy (held_alert).

-- name: holder
SELECT coalesce(i.response_alert, a.alert_id), i.incident_id
FROM alert a LEFT JOIN incident i USING (incident_id) WHERE a.alert_id = %(alert_id)s;

-- name: get_locked
-- The holder and its response, held until the transaction ends; whether the whole event is closed, and alerts that wait for an
-- acknowledgement.
SELECT coalesce(i.closed_at, CASE WHEN i.incident_id IS NULL THEN a.closed_at END) IS NOT NULL,
    coalesce(r.step, 'received'), coalesce(r.since, a.raised_at), coalesce(r.team, ''), coalesce(r.version, 0),
    coalesce(r.assignee, '')
FROM hold_alert(%(alert_id)s) a LEFT JOIN incident i USING (incident_id) LEFT JOIN response r ON r.alert_id = a.alert_id;

-- name: unacknowledged
-- Alerts of the event that nobody has acknowledged.
SELECT alert_id FROM alert
WHERE state IN ('UNACK', 'RTNUN') AND (alert_id = %(alert_id)s OR incident_id = %(incident_id)s) ORDER BY alert_id;

-- name: get
SELECT coalesce(r.step, 'received'), coalesce(r.since, a.raised_at), coalesce(r.team, ''), coalesce(r.version, 0),
    coalesce(r.assignee, '')
FROM held_alert(%(alert_id)s) a LEFT JOIN response r USING (alert_id);

-- name: set
-- The next step, by compare-and-set on the version: 0 where there was no row yet.
INSERT INTO response AS r (alert_id, step, since, team, assignee)
VALUES (%(alert_id)s, %(step)s, %(now)s, %(team)s, %(assignee)s)
ON CONFLICT (alert_id) DO UPDATE SET step = excluded.step, since = excluded.since, team = excluded.team,
    assignee = excluded.assignee, overdue_told_at = NULL, version = r.version + 1
WHERE r.version = %(version)s
RETURNING step, since, team, version, assignee;

-- name: assign
-- Who has it, without a step: the clock of the step runs on.
INSERT INTO response AS r (alert_id, step, since, team, assignee)
VALUES (%(alert_id)s, %(step)s, %(since)s, %(team)s, %(assignee)s)
ON CONFLICT (alert_id) DO UPDATE SET team = excluded.team, assignee = excluded.assignee, version = r.version + 1
WHERE r.version = %(version)s
RETURNING step, since, team, version, assignee;

-- name: note
INSERT INTO response_history (alert_id, at, actor, action, from_step, to_step, team, note)
VALUES (%(alert_id)s, %(now)s, %(actor)s, %(action)s, %(from_step)s, %(to_step)s, %(team)s, %(note)s);

-- name: tell
INSERT INTO outbox (message_id, event_type, alert_id, created_at, body)
SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), %(message)s, a.alert_id, %(now)s,
    alert_message(a, %(message)s, %(now)s, %(actor)s, %(note)s)
FROM held_alert(%(alert_id)s) a;

-- name: feed_back
-- A label for each of these alerts.
INSERT INTO feedback (alert_id, at, actor, genuine, cause, note)
SELECT alert_id, %(now)s, %(actor)s, %(genuine)s, %(cause)s, %(note)s
FROM alert WHERE alert_id = ANY (%(alert_ids)s) ORDER BY alert_id
RETURNING alert_id;

-- name: alerts_of_incident
SELECT alert_id FROM alert WHERE incident_id = %(incident_id)s ORDER BY alert_id;

-- name: history
-- What was done about an alert and the incident that it belongs to, oldest first.
SELECT at, actor, action, from_step, to_step, team, note FROM response_history
WHERE alert_id = %(alert_id)s OR alert_id IN (SELECT m.alert_id FROM alert a JOIN alert m USING (incident_id)
    WHERE a.alert_id = %(alert_id)s)
    OR alert_id = (SELECT i.response_alert FROM alert a JOIN incident i USING (incident_id) WHERE a.alert_id = %(alert_id)s)
ORDER BY history_id;

-- name: labels
-- The newest label of each alert that was raised in the period, with what it was about.
SELECT DISTINCT ON (f.alert_id) f.alert_id, a.rule, a.rule_version, a.network, a.subject_kind, a.subject_id, a.raised_at,
    f.genuine, f.cause, f.note, f.actor, f.at
FROM feedback f JOIN alert a USING (alert_id)
WHERE a.raised_at >= %(start)s AND a.raised_at < %(end)s AND (%(rule)s::text IS NULL OR a.rule = %(rule)s)
ORDER BY f.alert_id, f.feedback_id DESC;

-- name: overdue
-- Steps that are over their deadline, of incidents and of risk alerts without one, that are open or that somebody is busy with.
-- One deadline for an event, by the incident's level. The clock of a step begins again when the level rises.
WITH deadline AS (
    SELECT * FROM unnest(%(steps)s::text[], %(levels)s::smallint[], %(seconds)s::float8[]) AS d (step, level, seconds)
), holder AS (
    SELECT response_alert AS alert_id FROM incident WHERE closed_at IS NULL AND phase <> 'muted'
    UNION SELECT alert_id FROM alert WHERE closed_at IS NULL AND kind = 'risk' AND incident_id IS NULL
        AND state NOT IN ('SHLVD', 'DSUPR', 'OOSRV')
    UNION SELECT alert_id FROM response WHERE step IN ('confirmed', 'dispatched', 'on_site', 'handled', 'false_alarm')
), running AS (
    SELECT a.alert_id, i.incident_id, a.network, coalesce(i.level, a.level) AS level, coalesce(r.step, 'received') AS step,
        coalesce(r.team, '') AS team,
        greatest(coalesce(r.since, a.raised_at), CASE WHEN i.incident_id IS NULL
            THEN (SELECT max(at) FROM alert_history h
                WHERE h.alert_id = a.alert_id AND h.action IN ('escalated', 'raised_again') AND h.at > a.raised_at)
            ELSE (SELECT max(at) FROM incident_history h
                WHERE h.incident_id = i.incident_id AND h.action IN ('escalated', 'raised_again')) END) AS since,
        r.overdue_told_at, coalesce(r.since, a.raised_at) AS step_since
    FROM holder JOIN alert a USING (alert_id) LEFT JOIN incident i USING (incident_id) LEFT JOIN response r ON r.alert_id = a.alert_id
    WHERE a.kind = 'risk' AND (i.incident_id IS NULL OR i.response_alert = a.alert_id)
)
SELECT alert_id, network, level, step, team, since, since + make_interval(secs => seconds) AS due_at, step_since,
    overdue_told_at IS NOT NULL AND overdue_told_at >= since AS told, incident_id
FROM running JOIN deadline USING (step, level)
WHERE since + make_interval(secs => seconds) <= %(now)s
ORDER BY level, due_at, alert_id;

-- name: clock
-- The level of the event that an alert holds the response to, and when it rose last; nothing for one that has no deadlines.
SELECT coalesce(i.level, a.level), CASE WHEN i.incident_id IS NULL
    THEN (SELECT max(at) FROM alert_history h WHERE h.alert_id = a.alert_id AND h.action IN ('escalated', 'raised_again'))
    ELSE (SELECT max(at) FROM incident_history h WHERE h.incident_id = i.incident_id AND h.action IN ('escalated', 'raised_again')) END
FROM held_alert(%(alert_id)s) a LEFT JOIN incident i USING (incident_id) WHERE a.kind = 'risk';

-- name: mark_told
-- Notes that somebody was told of an overdue step; nothing where the step has changed meanwhile.
INSERT INTO response AS r (alert_id, step, since, team, overdue_told_at, version)
VALUES (%(alert_id)s, %(step)s, %(step_since)s, %(team)s, %(now)s, 0)
ON CONFLICT (alert_id) DO UPDATE SET overdue_told_at = excluded.overdue_told_at
WHERE r.step = excluded.step AND r.since = excluded.since
RETURNING alert_id;

-- name: archivable
-- What is fed back and whose event is closed: there is nothing left to do. What was taken over by another incident follows it.
SELECT r.alert_id FROM response r JOIN alert a USING (alert_id) LEFT JOIN incident i USING (incident_id)
WHERE r.step = 'fed_back' AND a.closed_at IS NOT NULL AND (i.incident_id IS NULL OR i.response_alert = r.alert_id AND i.closed_at IS NOT NULL)
    AND greatest(r.since, a.closed_at, i.closed_at) <= %(before)s
ORDER BY r.alert_id LIMIT 1000;
