-- Answers kept for requests that are sent again.

-- name: forget_old
DELETE FROM kept_answer WHERE begun_at < %(oldest)s OR (status IS NULL AND begun_at < %(stuck)s);

-- name: begin
-- Who inserts is first; whoever comes at the same time waits here for him to commit, and then finds his row.
INSERT INTO kept_answer (caller, idempotency_key, fingerprint, begun_at)
VALUES (%(caller)s, %(key)s, %(fingerprint)s, %(now)s) ON CONFLICT DO NOTHING RETURNING caller;

-- name: find
SELECT fingerprint, status, media_type, body FROM kept_answer WHERE caller = %(caller)s AND idempotency_key = %(key)s;

-- name: keep
UPDATE kept_answer SET status = %(status)s, media_type = %(media_type)s, body = %(body)s
WHERE caller = %(caller)s AND idempotency_key = %(key)s AND fingerprint = %(fingerprint)s;

-- name: forget
DELETE FROM kept_answer WHERE caller = %(caller)s AND idempotency_key = %(key)s AND fingerprint = %(fingerprint)s;
