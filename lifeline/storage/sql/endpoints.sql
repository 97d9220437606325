-- Where alerts are sent: webhooks, each with its own secret. Delivery is in outbox.sql.

-- name: add
INSERT INTO endpoint (name, url, secret, networks, kinds, worst_level, created_at)
VALUES (%(name)s, %(url)s, %(secret)s, %(networks)s, %(kinds)s, %(worst_level)s, %(now)s)

-- name: list
-- With the number of deliveries in each state. The secret stays where it is.
SELECT name, url, networks, kinds, worst_level, enabled, disabled_reason, created_at,
       count(delivery_id) FILTER (WHERE state = 'delivered'), count(delivery_id) FILTER (WHERE state = 'pending'),
       count(delivery_id) FILTER (WHERE state = 'failed')
FROM endpoint LEFT JOIN delivery USING (endpoint_id)
GROUP BY endpoint_id ORDER BY name

-- name: enable
UPDATE endpoint SET enabled = %(enabled)s, disabled_reason = %(reason)s WHERE name = %(name)s RETURNING endpoint_id
