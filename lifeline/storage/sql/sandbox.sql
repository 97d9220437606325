-- The sandbox of a drill: what is asked of the database server, and what is read out of the sandbox for the report.

-- name: database_name
SELECT current_database()

-- name: copied_columns
-- Columns of a table that can be written, in order; none where there is no such table.
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %(table)s AND is_generated = 'NEVER'
ORDER BY ordinal_position

-- name: counters
-- Columns of the copied tables that number their rows.
SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name)
FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = ANY (%(tables)s)
    AND (is_identity = 'YES' OR column_default LIKE 'nextval(%%')

-- name: unheard
-- Devices that the twin does not play are out of service for as long as the drill is: their silence says nothing.
INSERT INTO maintenance_window (device_id, begins_at, reason, created_by, created_at)
SELECT device_id, %(now)s, 'not played in this exercise', 'lifeline drill', %(now)s
FROM device WHERE external_id <> ALL (%(devices)s)
RETURNING window_id

-- name: known_devices
SELECT count(*) FROM device WHERE external_id = ANY (%(devices)s)

-- name: heard
-- Whether the simulators' readings arrive.
SELECT EXISTS (SELECT FROM sensor_state)

-- name: handled
-- What people had to respond to: incidents, and risk alerts without one, with the worst level that each had and when somebody
-- acknowledged it first. The first column is the alert that holds the response.
SELECT a.alert_id, i.incident_id, a.network, coalesce(i.worst_level, least(a.level, w.worst_level)), coalesce(i.opened_at, a.raised_at),
    (SELECT min(h.at) FROM alert_history h JOIN alert m USING (alert_id)
        WHERE h.action = 'acknowledged' AND (m.alert_id = a.alert_id OR m.incident_id = i.incident_id)),
    coalesce(t.name, d.external_id, ''), a.evidence -> 'title'
FROM alert a LEFT JOIN incident i ON i.incident_id = a.incident_id
    LEFT JOIN asset t ON t.asset_id = a.asset_id LEFT JOIN device d ON d.device_id = a.device_id
    CROSS JOIN LATERAL (SELECT min(h.to_level) AS worst_level FROM alert_history h WHERE h.alert_id = a.alert_id) w
WHERE a.kind = 'risk' AND (i.incident_id IS NULL OR i.response_alert = a.alert_id)
ORDER BY coalesce(i.opened_at, a.raised_at), a.alert_id

-- name: responses
-- Every step that was taken, oldest first.
SELECT coalesce(i.response_alert, a.alert_id), r.at, r.actor, r.to_step, r.team
FROM response_history r JOIN alert a USING (alert_id) LEFT JOIN incident i USING (incident_id)
WHERE r.action = 'step' ORDER BY r.at, r.history_id

-- name: deliveries
-- By endpoint: messages, delivered, failed, and seconds from message to delivery of the slowest.
SELECT e.name, count(*), count(*) FILTER (WHERE d.state = 'delivered'), count(*) FILTER (WHERE d.state = 'failed'),
    max(extract(epoch FROM d.delivered_at - o.created_at))
FROM delivery d JOIN endpoint e USING (endpoint_id) JOIN outbox o USING (outbox_id)
GROUP BY e.name ORDER BY e.name

-- name: readings
SELECT count(*) FROM reading

-- name: forget_keys
-- A database that is kept is no way in: neither here nor in the city, whose keys these are.
DELETE FROM api_key

-- name: forget_users
-- With their sessions and links.
DELETE FROM app_user

-- name: forget_old_secrets
DELETE FROM endpoint_secret

-- name: forget_endpoints
-- The names stay: what was sent to whom belongs to the drill. Where to, and signed with what, belongs to the city.
UPDATE endpoint SET url = '', secret = '', enabled = false
