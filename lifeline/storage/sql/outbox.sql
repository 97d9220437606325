-- From the outbox to endpoints. The message was written with the change that it tells; here it becomes deliveries.

-- name: fan_out
-- A delivery for each waiting message and each endpoint that wants it. An endpoint that was told of an alert or an incident at a
-- level that it asked for is told all the rest as well, also when the level has fallen since. Red is sent at once; the rest waits
-- for the end of quiet hours, and for its group (pacing.sql).
WITH waiting AS MATERIALIZED (
    SELECT outbox_id, alert_id, incident_id, event_type FROM outbox WHERE NOT fanned_out
    ORDER BY outbox_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), worst AS (
    SELECT alert_id, min(to_level) AS level FROM alert_history
    WHERE alert_id IN (SELECT alert_id FROM waiting) GROUP BY alert_id
), wanted AS (
    SELECT w.outbox_id, e.endpoint_id, a.level, group_key(e, a) AS group_key, e.group_wait_s > 0 AND a.level > 1 AS grouped,
        CASE WHEN a.level > 1 THEN end_of_quiet(e, %(now)s) END AS quiet_until
    FROM waiting w
    JOIN alert a USING (alert_id)
    JOIN worst USING (alert_id)
    JOIN endpoint e ON wants(e, a, worst.level) AND hears(e, w.event_type, false, a.incident_id IS NOT NULL)
    WHERE e.zones IS NULL OR EXISTS (SELECT FROM zone z WHERE z.external_id = ANY (e.zones)
        AND (EXISTS (SELECT FROM zone_asset m WHERE m.zone_id = z.zone_id AND m.asset_id = a.asset_id)
            OR EXISTS (SELECT FROM zone_sensor m WHERE m.zone_id = z.zone_id AND m.sensor_id = a.sensor_id)))
    UNION ALL
    SELECT w.outbox_id, e.endpoint_id, i.level, group_key(e, i), e.group_wait_s > 0 AND i.level > 1,
        CASE WHEN i.level > 1 THEN end_of_quiet(e, %(now)s) END
    FROM waiting w
    JOIN incident i USING (incident_id)
    JOIN endpoint e ON wants(e, i) AND hears(e, w.event_type, true, true)
    WHERE e.zones IS NULL OR EXISTS (SELECT FROM zone z JOIN alert a ON a.incident_id = i.incident_id
        WHERE z.external_id = ANY (e.zones)
            AND (EXISTS (SELECT FROM zone_asset m WHERE m.zone_id = z.zone_id AND m.asset_id = a.asset_id)
                OR EXISTS (SELECT FROM zone_sensor m WHERE m.zone_id = z.zone_id AND m.sensor_id = a.sensor_id)))
), planned AS (
    INSERT INTO delivery (outbox_id, endpoint_id, level, state, next_attempt_at, group_key, held_at)
    SELECT outbox_id, endpoint_id, level, CASE WHEN grouped THEN 'held' ELSE 'pending' END,
        CASE WHEN NOT grouped THEN coalesce(quiet_until, %(now)s) END,
        CASE WHEN grouped THEN group_key END, CASE WHEN grouped THEN %(now)s::timestamptz END
    FROM wanted
    ORDER BY outbox_id, endpoint_id
    ON CONFLICT (outbox_id, endpoint_id) DO NOTHING
    RETURNING 1
), done AS (
    UPDATE outbox SET fanned_out = true WHERE outbox_id IN (SELECT outbox_id FROM waiting) RETURNING 1
)
SELECT (SELECT count(*) FROM done), (SELECT count(*) FROM planned);

-- name: claim
-- What is due, worst first, at most so many of an endpoint as it has hands free. Until the lease ends it is nobody
-- else's; when this process dies with it, it is due again then. The secret is all that sign now, the newest first; earlier
-- messages about the same alert or incident that this endpoint was sent are what CAP refers to: those since it was over last, for
-- what was cancelled is not updated.
WITH due AS (
    SELECT d.delivery_id
    FROM endpoint e
    LEFT JOIN unnest(%(endpoints)s::integer[], %(free)s::integer[]) AS f (endpoint_id, free) USING (endpoint_id)
    CROSS JOIN LATERAL (
        SELECT delivery_id, level, next_attempt_at FROM delivery
        WHERE delivery.endpoint_id = e.endpoint_id AND state = 'pending' AND next_attempt_at <= %(now)s
        ORDER BY level, next_attempt_at, delivery_id
        LIMIT coalesce(f.free, %(per_endpoint)s)
    ) d
    WHERE e.enabled
    ORDER BY d.level, d.next_attempt_at, d.delivery_id
    LIMIT %(limit)s
), free AS MATERIALIZED (
    -- What somebody holds is changing: it is looked at again in the next turn, and nobody waits here with others in hand.
    SELECT delivery_id FROM delivery
    WHERE delivery_id IN (SELECT delivery_id FROM due) AND state = 'pending' AND next_attempt_at <= %(now)s
    ORDER BY delivery_id FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE delivery d SET attempts = d.attempts + 1, claimed = true, next_attempt_at = %(lease)s
    WHERE d.delivery_id IN (SELECT delivery_id FROM free)
    RETURNING d.delivery_id, d.endpoint_id, d.outbox_id, d.level, d.attempts
)
SELECT c.delivery_id, c.endpoint_id, e.name, e.url,
    concat_ws(' ', e.secret, (SELECT string_agg(s.secret, ' ' ORDER BY s.until DESC) FROM endpoint_secret s
        WHERE s.endpoint_id = e.endpoint_id AND s.until > %(now)s)),
    o.message_id, o.body, c.level, c.attempts, e.format, e.links,
    CASE WHEN e.format = 'cap' THEN (SELECT jsonb_agg(jsonb_build_array(p.message_id, p.created_at) ORDER BY p.outbox_id)
        FROM outbox p JOIN delivery q USING (outbox_id)
        WHERE (p.alert_id = o.alert_id OR p.incident_id = o.incident_id) AND p.outbox_id < o.outbox_id AND q.endpoint_id = c.endpoint_id
            AND (o.event_type = ANY (%(over)s) OR p.outbox_id > coalesce((SELECT max(x.outbox_id) FROM outbox x
                WHERE (x.alert_id = o.alert_id OR x.incident_id = o.incident_id) AND x.outbox_id < o.outbox_id
                    AND x.event_type = ANY (%(over)s)), 0))) END
FROM claimed c JOIN endpoint e USING (endpoint_id) JOIN outbox o USING (outbox_id)
ORDER BY c.level, c.delivery_id;

-- name: release
-- What another process was at when it ended: due at once, not when its claim ends. In order, as in `disable`.
UPDATE delivery SET claimed = false, next_attempt_at = %(now)s WHERE delivery_id IN (
    SELECT delivery_id FROM delivery WHERE state = 'pending' AND claimed ORDER BY delivery_id FOR NO KEY UPDATE);

-- name: record
-- An attempt, and what becomes of its delivery.
WITH noted AS (
    INSERT INTO delivery_attempt (delivery_id, at, status_code, error, duration_ms)
    VALUES (%(delivery_id)s, %(at)s, %(status_code)s, %(error)s, %(duration_ms)s)
)
UPDATE delivery SET state = %(state)s, claimed = false, next_attempt_at = %(next_attempt_at)s,
    delivered_at = CASE WHEN %(state)s = 'delivered' THEN %(at)s::timestamptz END
WHERE delivery_id = %(delivery_id)s AND state = 'pending';

-- name: disable
-- The endpoint does not want messages any more: neither new ones nor those that wait. These in order of their ids, so that two
-- who change the same wait for each other instead of dead-locking.
WITH stopped AS (
    UPDATE endpoint SET enabled = false, disabled_reason = %(reason)s WHERE endpoint_id = %(endpoint_id)s
), waiting AS MATERIALIZED (
    SELECT delivery_id FROM delivery WHERE endpoint_id = %(endpoint_id)s AND state = 'pending'
    ORDER BY delivery_id FOR NO KEY UPDATE
)
UPDATE delivery SET state = 'failed', next_attempt_at = NULL WHERE delivery_id IN (SELECT delivery_id FROM waiting);

-- name: waiting
-- Messages that are not fanned out, and deliveries that are not done.
SELECT (SELECT count(*) FROM outbox WHERE NOT fanned_out), (SELECT count(*) FROM delivery WHERE state IN ('pending', 'held'));

-- name: attempts
-- The log of the deliveries of one alert, oldest first.
SELECT e.name, o.message_id, o.event_type, t.at, t.status_code, t.error, t.duration_ms
FROM delivery_attempt t JOIN delivery d USING (delivery_id) JOIN outbox o USING (outbox_id) JOIN endpoint e USING (endpoint_id)
WHERE o.alert_id = %(alert_id)s ORDER BY t.attempt_id;


-- name: deliveries
-- The delivery log, the newest first, each with its newest attempts.
SELECT d.delivery_id, e.name, o.message_id, o.event_type, o.alert_id, o.incident_id, d.level, d.state, d.attempts, o.created_at,
    d.next_attempt_at, d.delivered_at,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(at, status_code, error, duration_ms) ORDER BY attempt_id DESC), '[]') FROM (
        SELECT attempt_id, at, status_code, error, duration_ms FROM delivery_attempt t WHERE t.delivery_id = d.delivery_id
        ORDER BY attempt_id DESC LIMIT 10) newest)
FROM delivery d JOIN endpoint e USING (endpoint_id) JOIN outbox o USING (outbox_id)
WHERE (%(before)s::bigint IS NULL OR d.delivery_id < %(before)s)
    AND (%(endpoint)s::text IS NULL OR e.name = %(endpoint)s) AND (%(state)s::text IS NULL OR d.state = %(state)s)
    AND (%(alert_id)s::bigint IS NULL OR o.alert_id = %(alert_id)s)
    AND (%(incident_id)s::bigint IS NULL OR o.incident_id = %(incident_id)s)
ORDER BY d.delivery_id DESC LIMIT %(limit)s;
