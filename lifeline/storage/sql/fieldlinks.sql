-- The audit of field links, and that each works once.

-- name: spent
-- Whether a link has done its work.
SELECT at FROM field_link_use WHERE nonce = %(nonce)s AND outcome = 'done';

-- name: endpoint
-- Where a link was sent to, and whether by incident: then it acts on the whole incident.
SELECT name, scope = 'incident' FROM endpoint WHERE endpoint_id = %(endpoint_id)s;

-- name: record
INSERT INTO field_link_use (nonce, alert_id, action, at, endpoint_id, address, name, outcome, detail)
VALUES (%(nonce)s, %(alert_id)s, %(action)s, %(now)s, %(endpoint_id)s, %(address)s, %(name)s, %(outcome)s, %(detail)s);

-- name: uses
-- Every use of the links of one alert, oldest first.
SELECT u.at, u.action, coalesce(e.name, ''), u.address, u.name, u.outcome, u.detail
FROM field_link_use u LEFT JOIN endpoint e USING (endpoint_id) WHERE u.alert_id = %(alert_id)s ORDER BY u.use_id;
