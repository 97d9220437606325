-- Photos from the field.

-- name: lock
-- One sender at a time for a link, so that its number of photos is held.
SELECT pg_advisory_xact_lock(hashtext('field_photo'), hashtext(%(nonce)s));

-- name: sent
-- How many photos a link has sent.
SELECT count(*) FROM field_photo WHERE nonce = %(nonce)s;

-- name: known
-- Whether an alert has this very photo already.
SELECT photo_id FROM field_photo WHERE alert_id = %(alert_id)s AND digest = %(digest)s;

-- name: keep
INSERT INTO field_photo (alert_id, nonce, at, name, address, media_type, content, digest)
VALUES (%(alert_id)s, %(nonce)s, %(now)s, %(name)s, %(address)s, %(media_type)s, %(content)s, %(digest)s) RETURNING photo_id;

-- name: list
-- The photos of an alert, or of all alerts of an incident, newest first, without their bytes.
SELECT p.photo_id, p.alert_id, p.at, p.name, p.media_type, octet_length(p.content)
FROM field_photo p JOIN alert a USING (alert_id)
WHERE (%(alert_id)s::bigint IS NULL OR p.alert_id = %(alert_id)s)
    AND (%(incident_id)s::bigint IS NULL OR a.incident_id = %(incident_id)s)
ORDER BY p.photo_id DESC LIMIT 100;

-- name: content
SELECT media_type, content FROM field_photo WHERE photo_id = %(photo_id)s;
