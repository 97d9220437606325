-- Who changed what: written by triggers (note_change), read here.

-- name: list
SELECT audit_id, at, actor, actor_kind, address, request, action, what, id, before, after FROM audit
WHERE (%(actor)s::text IS NULL OR actor = %(actor)s) AND (%(what)s::text IS NULL OR what = %(what)s)
    AND (%(id)s::text IS NULL OR id = %(id)s) AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR at < %(until)s) AND (%(before)s::bigint IS NULL OR audit_id < %(before)s)
ORDER BY audit_id DESC LIMIT %(limit)s;
