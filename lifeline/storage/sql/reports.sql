-- Citizens' reports. A report lies beside a risk alert where it is within a radius of it, and was seen between a day before the
-- alert's beginning and its end: a smell of gas is often told before a sensor has it.

-- name: keep
-- A report; nothing where its source has sent this number before.
INSERT INTO report (source, reference, category, network, text, place, longitude, latitude, reported_at, received_at, received_from)
VALUES (%(source)s, %(reference)s, %(category)s, %(network)s, %(text)s, %(place)s, %(longitude)s, %(latitude)s, %(reported_at)s,
    %(now)s, %(actor)s)
ON CONFLICT (source, reference) DO NOTHING
RETURNING report_id;

-- name: known
SELECT report_id FROM report WHERE source = %(source)s AND reference = %(reference)s;

-- name: announce
-- Tells whoever listens; it is heard when the transaction commits.
SELECT pg_notify('lifeline_changed', '{"what": "report"}');

-- name: list
-- Reports, the newest first, each with its photos and the worst twenty risk alerts that it lies beside.
SELECT r.report_id, r.source, r.reference, r.category, r.network, r.text, r.place, r.longitude, r.latitude, r.reported_at,
    r.received_at, r.received_from, r.state, r.outcome, r.note, r.closed_at, r.closed_by,
    (SELECT coalesce(array_agg(photo_id ORDER BY photo_id), '{}') FROM report_photo p WHERE p.report_id = r.report_id),
    (SELECT coalesce(array_agg(alert_id ORDER BY level, alert_id), '{}') FROM (
        SELECT a.alert_id, a.level FROM alert a
        WHERE a.kind = 'risk' AND a.latitude BETWEEN r.latitude - %(radius_m)s / 111320.0 AND r.latitude + %(radius_m)s / 111320.0
            AND power((a.latitude - r.latitude) * 111320.0, 2)
                + power((a.longitude - r.longitude) * 111320.0 * cos(radians(r.latitude)), 2) <= power(%(radius_m)s::float8, 2)
            AND a.first_seen <= r.reported_at + interval '1 day' AND coalesce(a.closed_at, 'infinity') >= r.reported_at
        ORDER BY a.level, a.alert_id LIMIT 20) beside)
FROM report r
WHERE (%(report_id)s::bigint IS NULL OR r.report_id = %(report_id)s)
    AND (%(before)s::bigint IS NULL OR r.report_id < %(before)s)
    AND (%(state)s::text IS NULL OR r.state = %(state)s)
    AND (%(categories)s::text[] IS NULL OR r.category = ANY (%(categories)s))
    AND (%(network)s::text IS NULL OR r.network = %(network)s)
    AND (%(since)s::timestamptz IS NULL OR r.reported_at >= %(since)s)
    AND (%(west)s::float8 IS NULL
        OR (r.latitude BETWEEN %(south)s AND %(north)s AND r.longitude BETWEEN %(west)s AND %(east)s))
    AND (%(alert_id)s::bigint IS NULL AND %(incident_id)s::bigint IS NULL OR EXISTS (
        SELECT FROM alert a
        WHERE (a.alert_id = %(alert_id)s OR a.incident_id = %(incident_id)s) AND a.kind = 'risk'
            AND power((a.latitude - r.latitude) * 111320.0, 2)
                + power((a.longitude - r.longitude) * 111320.0 * cos(radians(r.latitude)), 2) <= power(%(radius_m)s::float8, 2)
            AND a.first_seen <= r.reported_at + interval '1 day' AND coalesce(a.closed_at, 'infinity') >= r.reported_at))
ORDER BY r.report_id DESC LIMIT %(limit)s;

-- name: close
-- By compare-and-set: who comes second changes nothing.
UPDATE report SET state = 'closed', outcome = %(outcome)s, note = %(note)s, closed_at = %(now)s, closed_by = %(actor)s
WHERE report_id = %(report_id)s AND state = 'open' RETURNING report_id;

-- name: lock
-- One sender of photos at a time for a report, so that their number is held.
SELECT pg_advisory_xact_lock(hashtext('report_photo'), hashtext(%(report_id)s::text));

-- name: known_photo
SELECT photo_id FROM report_photo WHERE report_id = %(report_id)s AND digest = %(digest)s;

-- name: keep_photo
-- Nothing where the report has as many as it may have.
INSERT INTO report_photo (report_id, at, media_type, content, digest)
SELECT %(report_id)s, %(now)s, %(media_type)s, %(content)s, %(digest)s
WHERE (SELECT count(*) FROM report_photo WHERE report_id = %(report_id)s) < %(most)s
RETURNING photo_id;

-- name: photo
SELECT media_type, content FROM report_photo WHERE report_id = %(report_id)s AND photo_id = %(photo_id)s;
