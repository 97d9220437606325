-- What could not be taken, as people look at it.

-- name: reasons
-- How many rows of each reason came since a moment, and when the last one did.
SELECT reason, count(*), max(received_at) FROM quarantine WHERE received_at >= %(since)s GROUP BY reason ORDER BY 2 DESC, 1;

-- name: list
-- A page, the newest first, with the first bytes of each message.
SELECT quarantine_id, received_at, topic, reason, detail, channel, reading_ts, octet_length(payload), substring(payload FOR %(bytes)s)
FROM quarantine
WHERE (%(before)s::bigint IS NULL OR quarantine_id < %(before)s)
    AND (%(reason)s::text IS NULL OR reason = %(reason)s)
ORDER BY quarantine_id DESC LIMIT %(limit)s;
