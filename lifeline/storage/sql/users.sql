-- Users, their sessions, the links that open one, and wrong passwords.

-- name: add
INSERT INTO app_user (name, role, password_hash, networks, zones, created_at, password_changed_at)
VALUES (%(name)s, %(role)s, %(hash)s, %(networks)s, %(zones)s, %(now)s, CASE WHEN %(hash)s::text IS NOT NULL THEN %(now)s END);

-- name: list
SELECT user_id, name, role, password_hash, networks, zones, created_at, disabled_at, password_changed_at, last_login_at
FROM app_user ORDER BY name;

-- name: by_name
SELECT user_id, name, role, password_hash, networks, zones, created_at, disabled_at, password_changed_at, last_login_at
FROM app_user WHERE name = %(name)s;

-- name: change
-- Role, scope and whether he may come in; all of them, so that what was is known to who writes.
UPDATE app_user SET role = %(role)s, networks = %(networks)s, zones = %(zones)s, disabled_at = %(disabled_at)s
WHERE name = %(name)s RETURNING user_id;

-- name: set_password
UPDATE app_user SET password_hash = %(hash)s, password_changed_at = %(now)s WHERE name = %(name)s RETURNING user_id;

-- name: rehash
-- The same password, kept with today's parameters.
UPDATE app_user SET password_hash = %(hash)s WHERE user_id = %(user_id)s AND password_hash = %(before)s;

-- name: came_in
UPDATE app_user SET last_login_at = %(now)s WHERE user_id = %(user_id)s;

-- name: begin_session
INSERT INTO session (digest, user_id, created_at, last_seen_at, expires_at, address)
SELECT %(digest)s, user_id, %(now)s, %(now)s, %(expires_at)s, %(address)s FROM app_user
WHERE user_id = %(user_id)s AND disabled_at IS NULL;

-- name: session
-- A session that has neither ended nor been idle too long, of a user who may come in.
SELECT u.name, u.role, u.networks, u.zones, s.expires_at FROM session s JOIN app_user u USING (user_id)
WHERE s.digest = %(digest)s AND s.expires_at > %(now)s AND s.last_seen_at > %(idle_since)s AND u.disabled_at IS NULL;

-- name: seen
-- At most once a minute: a busy page must not write a row for each request.
UPDATE session SET last_seen_at = %(now)s WHERE digest = %(digest)s AND last_seen_at < %(now)s - interval '1 minute';

-- name: end_session
DELETE FROM session WHERE digest = %(digest)s;

-- name: end_sessions
DELETE FROM session WHERE user_id = (SELECT user_id FROM app_user WHERE name = %(name)s);

-- name: end_links
DELETE FROM login_link WHERE user_id = (SELECT user_id FROM app_user WHERE name = %(name)s);

-- name: forget_ended
-- Sessions and links that nobody can use any more.
WITH ended AS (DELETE FROM session WHERE expires_at <= %(now)s OR last_seen_at <= %(idle_since)s)
DELETE FROM login_link WHERE expires_at <= %(now)s;

-- name: make_link
INSERT INTO login_link (digest, user_id, expires_at)
SELECT %(digest)s, user_id, %(expires_at)s FROM app_user WHERE name = %(name)s AND disabled_at IS NULL RETURNING user_id;

-- name: use_link
-- Taking it away is what makes it good once, whoever asks at the same time.
DELETE FROM login_link l USING app_user u
WHERE l.digest = %(digest)s AND l.expires_at > %(now)s AND u.user_id = l.user_id AND u.disabled_at IS NULL RETURNING u.name;

-- name: failures
SELECT failures, last_at FROM login_failure WHERE subject = ANY (%(subjects)s);

-- name: failed
-- One more wrong one; an hour without any makes a new beginning.
INSERT INTO login_failure AS f (subject, failures, last_at)
SELECT subject, 1, %(now)s FROM unnest(%(subjects)s::bytea[]) subject ORDER BY subject
ON CONFLICT (subject) DO UPDATE SET last_at = %(now)s,
    failures = CASE WHEN f.last_at < %(now)s - interval '1 hour' THEN 1 ELSE f.failures + 1 END;

-- name: succeeded
-- The account begins anew; the address only has this attempt taken back, or whoever has an account could guess those of others.
WITH taken_back AS (UPDATE login_failure SET failures = failures - 1 WHERE subject = %(address)s AND failures > 0),
place AS (
    INSERT INTO login_place VALUES (%(place)s, %(now)s) ON CONFLICT (subject) DO UPDATE SET last_at = excluded.last_at
)
DELETE FROM login_failure WHERE subject = %(account)s;

-- name: place
SELECT FROM login_place WHERE subject = %(place)s;

-- name: one_at_a_time
-- Two administrators who disable each other at the same moment: one of them must see what the other did.
SELECT pg_advisory_xact_lock(hashtext('app_user'));

-- name: unknown_zones
SELECT name FROM unnest(%(zones)s::text[]) name WHERE NOT EXISTS (SELECT FROM zone WHERE external_id = name) ORDER BY name;
