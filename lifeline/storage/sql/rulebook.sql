-- Rules as people see them, their overrides by version, proposals, and the nightly report.

-- name: forget_rules
-- Rules that the file does not have any more.
DELETE FROM rule WHERE rule <> ALL (%(rules)s);

-- name: publish
-- The rules that `alerts` read. A rule that has not changed keeps the time from which it holds.
INSERT INTO rule AS r (rule, version, detector, kind, networks, content, loaded_at)
SELECT w.rule, w.version, w.detector, w.kind, coalesce(string_to_array(nullif(w.networks, ''), ','), '{}'), w.content, %(at)s
FROM ROWS FROM (unnest(%(rules)s::text[], %(versions)s::text[], %(detectors)s::text[], %(kinds)s::text[], %(networks)s::text[]),
    jsonb_array_elements(%(contents)s::jsonb)) AS w (rule, version, detector, kind, networks, content)
ON CONFLICT (rule) DO UPDATE SET version = excluded.version, detector = excluded.detector, kind = excluded.kind,
    networks = excluded.networks, content = excluded.content, loaded_at = excluded.loaded_at
WHERE r.version <> excluded.version;

-- name: rules
SELECT rule, version, detector, kind, networks, content, loaded_at FROM rule ORDER BY rule;

-- name: rule
SELECT rule, version, detector, kind, networks, content, loaded_at FROM rule WHERE rule = %(rule)s;

-- name: overrides
-- The widest scope first.
SELECT override_id, rule, scope, target, limits, note, created_by, created_at FROM rule_override
WHERE %(rule)s::text IS NULL OR rule = %(rule)s
ORDER BY array_position(ARRAY['network', 'asset_kind', 'zone', 'asset', 'sensor'], scope), override_id;

-- name: changes
SELECT change_id, rule, scope, target, before, after, actor, at, note, proposal_id FROM rule_change
WHERE %(rule)s::text IS NULL OR rule = %(rule)s ORDER BY change_id DESC LIMIT %(limit)s;

-- name: place_exists
-- Whether there is something that an override of this scope and target would be about.
SELECT CASE %(scope)s
    WHEN 'network' THEN EXISTS (SELECT FROM device WHERE network = %(target)s) OR EXISTS (SELECT FROM asset WHERE network = %(target)s)
    WHEN 'asset_kind' THEN EXISTS (SELECT FROM asset WHERE kind = %(target)s)
    WHEN 'zone' THEN EXISTS (SELECT FROM zone WHERE external_id = %(target)s)
    WHEN 'asset' THEN EXISTS (SELECT FROM asset WHERE external_id = %(target)s)
    ELSE EXISTS (SELECT FROM sensor s JOIN device d USING (device_id) WHERE d.external_id || '/' || s.channel = %(target)s) END;

-- name: standing
SELECT limits FROM rule_override WHERE rule = %(rule)s AND scope = %(scope)s AND target = %(target)s;

-- name: propose
INSERT INTO rule_proposal (rule, scope, target, action, limits, before, note, reason, proposed_by, proposed_at, days)
VALUES (%(rule)s, %(scope)s, %(target)s, %(action)s, %(limits)s, %(before)s, %(note)s, %(reason)s, %(actor)s, %(now)s, %(days)s)
RETURNING proposal_id;

-- name: proposals
SELECT proposal_id, rule, scope, target, action, limits, before, note, reason, proposed_by, proposed_at, days, state, effect,
    evaluated_at, decided_by, decided_at, decision_note
FROM rule_proposal
WHERE (%(states)s::text[] IS NULL OR state = ANY (%(states)s)) AND (%(rule)s::text IS NULL OR rule = %(rule)s)
    AND (%(before)s::bigint IS NULL OR proposal_id < %(before)s)
ORDER BY proposal_id DESC LIMIT %(limit)s;

-- name: proposal
SELECT proposal_id, rule, scope, target, action, limits, before, note, reason, proposed_by, proposed_at, days, state, effect,
    evaluated_at, decided_by, decided_at, decision_note
FROM rule_proposal WHERE proposal_id = %(proposal_id)s;

-- name: answer
UPDATE rule_proposal SET state = %(state)s, effect = %(effect)s, evaluated_at = %(now)s
WHERE proposal_id = %(proposal_id)s AND state = 'waiting';

-- name: decide
UPDATE rule_proposal SET state = %(state)s, decided_by = %(actor)s, decided_at = %(now)s, decision_note = %(note)s
WHERE proposal_id = %(proposal_id)s AND state NOT IN ('accepted', 'rejected') RETURNING proposal_id;

-- name: apply
INSERT INTO rule_override AS o (rule, scope, target, limits, note, created_by, created_at)
VALUES (%(rule)s, %(scope)s, %(target)s, %(limits)s, %(note)s, %(actor)s, %(now)s)
ON CONFLICT (rule, scope, target) DO UPDATE SET limits = excluded.limits, note = excluded.note,
    created_by = excluded.created_by, created_at = excluded.created_at;

-- name: remove
DELETE FROM rule_override WHERE rule = %(rule)s AND scope = %(scope)s AND target = %(target)s;

-- name: note_change
INSERT INTO rule_change (rule, scope, target, before, after, actor, at, note, proposal_id)
VALUES (%(rule)s, %(scope)s, %(target)s, %(before)s, %(after)s, %(actor)s, %(now)s, %(note)s, %(proposal_id)s);

-- name: precision
SELECT report_date, rule, network, zone, alerts, genuine, false_alarms FROM precision_report
WHERE report_date = coalesce(%(day)s, (SELECT max(report_date) FROM precision_report))
ORDER BY rule, network, zone;

-- name: reported
SELECT 1 FROM precision_report WHERE report_date = %(day)s LIMIT 1;

-- name: write_precision
-- By the newest label of each alert; an alert counts in its network and in each active zone that its asset or sensor lies in.
WITH judged AS (
    SELECT a.alert_id, a.rule, a.network, a.asset_id, a.sensor_id,
        (SELECT f.genuine FROM feedback f WHERE f.alert_id = a.alert_id ORDER BY f.feedback_id DESC LIMIT 1) AS genuine
    FROM alert a WHERE a.raised_at >= %(start)s AND a.raised_at < %(now)s
), placed AS (
    SELECT rule, network, '' AS zone, genuine FROM judged
    UNION ALL
    SELECT j.rule, j.network, z.external_id, j.genuine
    FROM judged j JOIN zone z ON z.status = 'active' AND (
        EXISTS (SELECT FROM zone_asset m WHERE m.zone_id = z.zone_id AND m.asset_id = j.asset_id)
        OR EXISTS (SELECT FROM zone_sensor m WHERE m.zone_id = z.zone_id AND m.sensor_id = j.sensor_id))
)
INSERT INTO precision_report (report_date, rule, network, zone, alerts, genuine, false_alarms, made_at)
SELECT %(day)s, rule, network, zone, count(*), count(*) FILTER (WHERE genuine), count(*) FILTER (WHERE NOT genuine), %(now)s
FROM placed GROUP BY rule, network, zone
ON CONFLICT DO NOTHING;

-- name: peaks
-- How far labelled alerts of sensors went, in the unit of their rule's limits: what limits would have told them apart.
WITH labelled AS (
    SELECT DISTINCT ON (a.alert_id) a.alert_id, a.rule, a.network, a.asset_id, a.sensor_id, f.genuine,
        coalesce(a.evidence ->> 'peak', a.evidence ->> 'score', a.evidence ->> 'value')::float8 AS peak
    FROM alert a JOIN feedback f USING (alert_id)
    WHERE a.raised_at >= %(start)s AND a.raised_at < %(now)s AND a.sensor_id IS NOT NULL
        AND jsonb_typeof(coalesce(a.evidence -> 'peak', a.evidence -> 'score', a.evidence -> 'value')) = 'number'
    ORDER BY a.alert_id, f.feedback_id DESC
)
SELECT rule, network, '', peak, genuine FROM labelled
UNION ALL
SELECT l.rule, l.network, z.external_id, l.peak, l.genuine
FROM labelled l JOIN zone z ON z.status = 'active' AND (
    EXISTS (SELECT FROM zone_asset m WHERE m.zone_id = z.zone_id AND m.asset_id = l.asset_id)
    OR EXISTS (SELECT FROM zone_sensor m WHERE m.zone_id = z.zone_id AND m.sensor_id = l.sensor_id))
ORDER BY 1, 2, 3, 4, 5;

-- name: zone_sensors
-- Sensors of some zones: those that lie in one, and those whose asset does.
SELECT z.external_id, m.sensor_id FROM zone z JOIN zone_sensor m USING (zone_id) WHERE z.external_id = ANY (%(zones)s)
UNION
SELECT z.external_id, s.sensor_id FROM zone z JOIN zone_asset m USING (zone_id) JOIN sensor s ON s.asset_id = m.asset_id
WHERE z.external_id = ANY (%(zones)s);

-- name: past
-- Plausible readings of some sensors in a stretch of the past.
SELECT array_agg(sensor_id), array_agg(ts), array_agg(value) FROM reading
WHERE sensor_id = ANY (%(sensors)s) AND ts > to_timestamp(%(low)s) AND ts <= to_timestamp(%(high)s) AND quality & %(unfit)s = 0;

-- name: extremes
-- The same from the roll-ups: of each quarter of an hour the highest, the lowest or the last reading, at its end.
SELECT array_agg(sensor_id), array_agg(bucket + interval '15 minutes'),
    array_agg(CASE %(which)s WHEN 'highest' THEN maximum WHEN 'lowest' THEN minimum ELSE last END)
FROM reading_15m
WHERE sensor_id = ANY (%(sensors)s) AND bucket > to_timestamp(%(low)s - 900) AND bucket <= to_timestamp(%(high)s - 900);

-- name: labels_at
-- Labelled alerts of a rule on some sensors: when they were raised (epoch s), and whether they were genuine.
SELECT DISTINCT ON (a.alert_id) a.sensor_id, extract(epoch FROM a.raised_at)::float8, f.genuine
FROM alert a JOIN feedback f USING (alert_id)
WHERE a.rule = %(rule)s AND a.sensor_id = ANY (%(sensors)s)
    AND a.raised_at > to_timestamp(%(low)s) AND a.raised_at <= to_timestamp(%(high)s)
ORDER BY a.alert_id, f.feedback_id DESC;
