-- Where alerts are sent: webhooks, each with its own secret. Delivery is in outbox.sql.

-- name: add
INSERT INTO endpoint (name, url, secret, networks, kinds, worst_level, created_at, format, events, links,
    quiet_from, quiet_until, quiet_zone, group_by, group_wait_s, group_interval_s, repeat_s, scope, zones)
VALUES (%(name)s, %(url)s, %(secret)s, %(networks)s, %(kinds)s, %(worst_level)s, %(now)s, %(format)s, %(events)s, %(links)s,
    %(quiet_from)s, %(quiet_until)s, %(quiet_zone)s, %(group_by)s, %(group_wait_s)s, %(group_interval_s)s, %(repeat_s)s,
    %(scope)s, %(zones)s)

-- name: change
UPDATE endpoint SET url = %(url)s, networks = %(networks)s, kinds = %(kinds)s, worst_level = %(worst_level)s, format = %(format)s,
    events = %(events)s, links = %(links)s, quiet_from = %(quiet_from)s, quiet_until = %(quiet_until)s, quiet_zone = %(quiet_zone)s,
    group_by = %(group_by)s, group_wait_s = %(group_wait_s)s, group_interval_s = %(group_interval_s)s, repeat_s = %(repeat_s)s,
    scope = %(scope)s, zones = %(zones)s
WHERE name = %(name)s

-- name: list
-- With the number of deliveries in each state. The secret stays where it is.
SELECT name, url, format, networks, kinds, worst_level, enabled, disabled_reason, created_at, scope, zones, events, links,
       quiet_from, quiet_until, quiet_zone, group_by, group_wait_s, group_interval_s, repeat_s,
       count(delivery_id) FILTER (WHERE state IN ('delivered', 'grouped')),
       count(delivery_id) FILTER (WHERE state IN ('pending', 'held')),
       count(delivery_id) FILTER (WHERE state = 'failed')
FROM endpoint LEFT JOIN delivery USING (endpoint_id)
GROUP BY endpoint_id ORDER BY name

-- name: enable
UPDATE endpoint SET enabled = %(enabled)s, disabled_reason = %(reason)s WHERE name = %(name)s RETURNING endpoint_id


-- name: rotate
-- A new secret; the one that it replaces signs on until then. Behind a door of the owner's: the API may not read secrets.
SELECT rotate_secret(%(name)s, %(secret)s, %(now)s, %(until)s)

-- name: test
-- A message for one endpoint alone, past its filters and quiet hours.
WITH made AS (
    INSERT INTO outbox (message_id, event_type, created_at, body, fanned_out)
    SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), 'endpoint.test', %(now)s, jsonb_build_object(
        'type', 'endpoint.test', 'timestamp', %(now)s::timestamptz, 'data', jsonb_build_object('alert_id', NULL, 'endpoint', name,
            'level', 'blue', 'title', '{"zh": "这是一条测试消息", "en": "This is a test"}'::jsonb, 'note', %(note)s::text)), true
    FROM endpoint WHERE name = %(name)s
    RETURNING outbox_id, message_id
), planned AS (
    INSERT INTO delivery (outbox_id, endpoint_id, level, next_attempt_at)
    SELECT m.outbox_id, e.endpoint_id, 4, %(now)s FROM made m, endpoint e WHERE e.name = %(name)s
)
SELECT message_id FROM made

-- name: replay
-- Sends again what was sent or has failed, under the same ids: all since then, or the one message.
UPDATE delivery d SET state = 'pending', attempts = 0, next_attempt_at = %(now)s, delivered_at = NULL
FROM endpoint e, outbox o
WHERE e.name = %(name)s AND d.endpoint_id = e.endpoint_id AND o.outbox_id = d.outbox_id
    AND d.state IN ('delivered', 'failed')
    AND (o.message_id = %(message_id)s OR %(message_id)s::text IS NULL AND o.created_at >= %(since)s)
    AND (%(failed_only)s IS FALSE OR d.state = 'failed')
RETURNING d.delivery_id

-- name: exists
SELECT 1 FROM endpoint WHERE name = %(name)s

-- name: escalate
INSERT INTO escalation (endpoint_id, level, after_s, network, team, created_at)
SELECT endpoint_id, %(level)s, %(after_s)s, %(network)s, %(team)s, %(now)s FROM endpoint WHERE name = %(name)s
RETURNING escalation_id

-- name: escalations
-- Every stage, in the order in which an alert goes through them.
SELECT s.escalation_id, e.name, s.level, s.after_s, s.network, s.team
FROM escalation s JOIN endpoint e USING (endpoint_id)
ORDER BY s.network NULLS FIRST, s.team NULLS FIRST, s.level, s.after_s, s.escalation_id

-- name: drop_escalation
DELETE FROM escalation WHERE escalation_id = %(escalation_id)s RETURNING escalation_id
