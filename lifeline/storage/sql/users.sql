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
INSERT INTO session (digest, user_id, created_at, last_seen_at, expires_at, address, by_link)
SELECT %(digest)s, user_id, %(now)s, %(now)s, %(expires_at)s, %(address)s, %(by_link)s FROM app_user
WHERE user_id = %(user_id)s AND disabled_at IS NULL;

-- name: begin_session_of
-- Of somebody whom the city's own log-in service knows.
INSERT INTO session (digest, subject, name, role, networks, zones, created_at, last_seen_at, expires_at, address)
VALUES (%(digest)s, %(subject)s, %(name)s, %(role)s, %(networks)s, %(zones)s, %(now)s, %(now)s, %(expires_at)s, %(address)s);

-- name: session
-- A session that has neither ended nor been idle too long, of somebody who may come in.
SELECT s.subject IS NOT NULL, coalesce(u.name, s.name), coalesce(u.role, s.role), coalesce(u.networks, s.networks),
    coalesce(u.zones, s.zones), s.expires_at
FROM session s LEFT JOIN app_user u USING (user_id)
WHERE s.digest = %(digest)s AND s.expires_at > %(now)s AND s.last_seen_at > %(idle_since)s AND u.disabled_at IS NULL;

-- name: sessions
-- Those that are open: everybody's, or with `digest` those of the person whose session that is. The newest first.
SELECT s.session_id, coalesce(u.name, s.name), coalesce(u.role, s.role), s.subject IS NOT NULL, s.created_at, s.last_seen_at,
    s.expires_at, s.address, s.digest
FROM session s LEFT JOIN app_user u USING (user_id)
LEFT JOIN session mine ON mine.digest = %(digest)s
WHERE s.expires_at > %(now)s AND s.last_seen_at > %(idle_since)s AND u.disabled_at IS NULL
    AND (%(digest)s::bytea IS NULL OR s.user_id = mine.user_id OR s.subject = mine.subject)
    AND (%(after)s::bigint IS NULL OR s.session_id < %(after)s)
ORDER BY s.session_id DESC LIMIT %(limit)s;

-- name: end_session_by_id
-- With `digest`: only where it is of the same person as that session.
DELETE FROM session s WHERE s.session_id = %(session_id)s AND (%(digest)s::bytea IS NULL OR EXISTS (
    SELECT FROM session mine WHERE mine.digest = %(digest)s AND (mine.user_id = s.user_id OR mine.subject = s.subject)
)) RETURNING s.digest;

-- name: end_other_sessions
-- Of whom this session is of, but for this one.
DELETE FROM session s USING session mine WHERE mine.digest = %(digest)s AND s.digest <> mine.digest
    AND (s.user_id = mine.user_id OR s.subject = mine.subject) RETURNING s.digest;

-- name: by_link
SELECT FROM session WHERE digest = %(digest)s AND by_link AND created_at > %(since)s;

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
-- Of two things called name the inner one counts, which would be the zone's own.
SELECT wanted FROM unnest(%(zones)s::text[]) wanted WHERE NOT EXISTS (SELECT FROM zone WHERE external_id = wanted) ORDER BY wanted;
