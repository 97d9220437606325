-- Alerts on the shelf come back by themselves.

-- name: set_until
UPDATE alert SET shelved_until = %(until)s WHERE alert_id = %(alert_id)s;

-- name: set_until_of
UPDATE alert SET shelved_until = %(until)s WHERE alert_id = ANY (%(alert_ids)s);

-- name: due
-- Alerts whose time on the shelf is over; one that was shelved without a time has the ordinary one.
SELECT alert_id FROM alert
WHERE state = 'SHLVD' AND coalesce(shelved_until, updated_at + make_interval(secs => %(ordinary_s)s)) <= %(now)s
ORDER BY alert_id FOR NO KEY UPDATE SKIP LOCKED;
