-- From the outbox to endpoints. The message was written with the change that it tells; here it becomes deliveries.

-- name: fan_out
-- A delivery for each waiting message and each endpoint that wants it. An endpoint that was told of an alert at a level that
-- it asked for is told all the rest as well, also when the level has fallen since.
WITH waiting AS (
    SELECT outbox_id, alert_id FROM outbox WHERE NOT fanned_out ORDER BY outbox_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), worst AS (
    SELECT alert_id, min(to_level) AS level FROM alert_history
    WHERE alert_id IN (SELECT alert_id FROM waiting) GROUP BY alert_id
), planned AS (
    INSERT INTO delivery (outbox_id, endpoint_id, level, next_attempt_at)
    SELECT w.outbox_id, e.endpoint_id, a.level, %(now)s
    FROM waiting w
    JOIN alert a USING (alert_id)
    JOIN worst USING (alert_id)
    JOIN endpoint e ON e.enabled AND worst.level <= e.worst_level AND a.kind = ANY (e.kinds)
        AND (e.networks IS NULL OR a.network = ANY (e.networks))
    ORDER BY w.outbox_id
    ON CONFLICT (outbox_id, endpoint_id) DO NOTHING
    RETURNING 1
), done AS (
    UPDATE outbox SET fanned_out = true WHERE outbox_id IN (SELECT outbox_id FROM waiting) RETURNING 1
)
SELECT (SELECT count(*) FROM done), (SELECT count(*) FROM planned);

-- name: claim
-- What is due, worst first, at most so many of an endpoint as it has hands free. Until the lease ends it is nobody
-- else's; when this process dies with it, it is due again then.
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
), claimed AS (
    UPDATE delivery d SET attempts = d.attempts + 1, claimed = true, next_attempt_at = %(lease)s
    WHERE d.delivery_id IN (SELECT delivery_id FROM due) AND d.state = 'pending' AND d.next_attempt_at <= %(now)s
    RETURNING d.delivery_id, d.endpoint_id, d.outbox_id, d.level, d.attempts
)
SELECT c.delivery_id, c.endpoint_id, e.name, e.url, e.secret, o.message_id, o.body, c.level, c.attempts
FROM claimed c JOIN endpoint e USING (endpoint_id) JOIN outbox o USING (outbox_id)
ORDER BY c.level, c.delivery_id;

-- name: release
-- What another process was at when it ended: due at once, not when its claim ends.
UPDATE delivery SET claimed = false, next_attempt_at = %(now)s WHERE state = 'pending' AND claimed;

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
-- The endpoint does not want messages any more: neither new ones nor those that wait.
WITH stopped AS (
    UPDATE endpoint SET enabled = false, disabled_reason = %(reason)s WHERE endpoint_id = %(endpoint_id)s
)
UPDATE delivery SET state = 'failed', next_attempt_at = NULL WHERE endpoint_id = %(endpoint_id)s AND state = 'pending';

-- name: waiting
-- Messages that are not fanned out, and deliveries that are not done.
SELECT (SELECT count(*) FROM outbox WHERE NOT fanned_out), (SELECT count(*) FROM delivery WHERE state = 'pending');

-- name: attempts
-- The log of the deliveries of one alert, oldest first.
SELECT e.name, o.message_id, o.event_type, t.at, t.status_code, t.error, t.duration_ms
FROM delivery_attempt t JOIN delivery d USING (delivery_id) JOIN outbox o USING (outbox_id) JOIN endpoint e USING (endpoint_id)
WHERE o.alert_id = %(alert_id)s ORDER BY t.attempt_id;
