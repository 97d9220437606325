-- What one shift tells the next.

-- name: keep
-- The note, with what is open at that moment: incidents, and risk alerts that belong to none; the worst 200 of them.
INSERT INTO handover (at, author, note, open, open_count)
SELECT %(now)s, %(author)s, %(note)s,
    coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'id', id, 'level', level, 'place', place, 'title', title, 'step', step,
        'who', who) ORDER BY rank) FILTER (WHERE rank <= 200), '[]'), count(*)
FROM (
    SELECT *, row_number() OVER (ORDER BY level, id, kind DESC) AS rank FROM (
        SELECT 'incident' AS kind, i.incident_id AS id, i.level, coalesce(nullif(a.name, ''), a.external_id, '') AS place,
            i.causes -> 0 -> 'title' AS title, coalesce(r.step, 'received') AS step,
            coalesce(nullif(r.assignee, ''), r.team, '') AS who
        FROM incident i JOIN alert l ON l.alert_id = i.lead_alert LEFT JOIN asset a ON a.asset_id = l.asset_id
        LEFT JOIN response r ON r.alert_id = i.response_alert
        WHERE i.closed_at IS NULL
        UNION ALL
        SELECT 'alert', l.alert_id, l.level, coalesce(nullif(a.name, ''), a.external_id, ''), l.evidence -> 'title',
            coalesce(r.step, 'received'), coalesce(nullif(r.assignee, ''), r.team, '')
        FROM alert l LEFT JOIN asset a ON a.asset_id = l.asset_id LEFT JOIN response r ON r.alert_id = l.alert_id
        WHERE l.closed_at IS NULL AND l.kind = 'risk' AND l.incident_id IS NULL
    ) event
) ranked
RETURNING handover_id, at, author, note, open, open_count;

-- name: announce
-- Tells whoever listens; it is heard when the transaction commits.
SELECT pg_notify('lifeline_changed', '{"what": "handover"}');

-- name: list
SELECT handover_id, at, author, note, open, open_count FROM handover
WHERE (%(before)s::bigint IS NULL OR handover_id < %(before)s)
    AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
ORDER BY handover_id DESC LIMIT %(limit)s;
