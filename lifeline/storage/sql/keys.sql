-- name: create
-- A new key; only its digest is kept.
INSERT INTO api_key (name, digest, role, created_at, expires_at, networks, zones)
VALUES (%(name)s, %(digest)s, %(role)s, %(now)s, %(expires_at)s, %(networks)s, %(zones)s);

-- name: by_digest
-- The key with this digest, valid or not.
SELECT name, role, digest, created_at, expires_at, revoked_at, last_used_at, networks, zones FROM api_key WHERE digest = %(digest)s;

-- name: used
-- Notes the use of a key, at most once a minute: a busy page must not write a row for each request.
UPDATE api_key SET last_used_at = %(now)s
WHERE digest = %(digest)s AND (last_used_at IS NULL OR last_used_at < %(now)s - interval '1 minute');

-- name: list
-- Every key, by name; revoked and expired ones too.
SELECT name, role, digest, created_at, expires_at, revoked_at, last_used_at, networks, zones FROM api_key ORDER BY name;

-- name: revoke
-- Ends a key. One that is revoked already keeps its first moment.
UPDATE api_key SET revoked_at = coalesce(revoked_at, %(now)s) WHERE name = %(name)s RETURNING name;
