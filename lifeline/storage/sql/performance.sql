-- How well the alarms serve the people who get them (ISA-18.2, EEMUA 191). An annunciation is an alert that begins to ask for
-- attention: raised, raised again, risen in level, or back from a muted state. Periods are from ``start`` to before ``end``.

-- name: annunciations
-- When they were, in order.
SELECT h.at FROM alert_history h JOIN alert a USING (alert_id)
WHERE h.at >= %(start)s AND h.at < %(end)s AND h.to_state = 'UNACK' AND h.action <> 'deescalated'
    AND (%(network)s::text IS NULL OR a.network = %(network)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
ORDER BY h.at;

-- name: levels
-- How many of each level.
SELECT h.to_level, count(*) FROM alert_history h JOIN alert a USING (alert_id)
WHERE h.at >= %(start)s AND h.at < %(end)s AND h.to_state = 'UNACK' AND h.action <> 'deescalated'
    AND (%(network)s::text IS NULL OR a.network = %(network)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
GROUP BY h.to_level ORDER BY h.to_level;

-- name: top
-- Who asks most; what has no name goes by the city's own id.
SELECT a.subject_kind, a.subject_id, a.rule, min(a.network), min(coalesce(nullif(t.name, ''), t.external_id, nullif(s.name, ''),
    nullif(d.name, ''), d.external_id, nullif(z.name, ''), z.external_id, '')) AS place, count(*)
FROM alert_history h JOIN alert a USING (alert_id)
LEFT JOIN asset t ON t.asset_id = a.asset_id
LEFT JOIN sensor s ON s.sensor_id = a.sensor_id
LEFT JOIN device d ON d.device_id = coalesce(a.device_id, s.device_id)
LEFT JOIN zone z ON a.subject_kind = 'zone' AND z.zone_id = a.subject_id
WHERE h.at >= %(start)s AND h.at < %(end)s AND h.to_state = 'UNACK' AND h.action <> 'deescalated'
    AND (%(network)s::text IS NULL OR a.network = %(network)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
GROUP BY a.subject_kind, a.subject_id, a.rule
ORDER BY count(*) DESC, a.subject_kind, a.subject_id, a.rule
LIMIT %(limit)s;

-- name: chattering
-- Subjects and rules that were raised three times or more within a minute, with how often they did so.
WITH raised AS (
    SELECT a.subject_kind, a.subject_id, a.rule, a.network, h.at,
        count(*) OVER (PARTITION BY a.subject_kind, a.subject_id, a.rule ORDER BY h.at
            RANGE BETWEEN interval '1 minute' PRECEDING AND CURRENT ROW) AS within_a_minute
    FROM alert_history h JOIN alert a USING (alert_id)
    WHERE h.at >= %(start)s AND h.at < %(end)s AND h.action IN ('raised', 'raised_again')
        AND (%(network)s::text IS NULL OR a.network = %(network)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
)
SELECT subject_kind, subject_id, rule, min(network), '', count(*) FROM raised
WHERE within_a_minute >= 3
GROUP BY subject_kind, subject_id, rule
ORDER BY count(*) DESC, subject_kind, subject_id, rule;

-- name: fleeting
-- How many were over within ten seconds and did not come again within a minute.
WITH spell AS (
    SELECT a.alert_id, h.at AS began,
        (SELECT min(r.at) FROM alert_history r WHERE r.alert_id = a.alert_id AND r.action = 'returned' AND r.at >= h.at) AS ended,
        lead(h.at) OVER (PARTITION BY a.subject_kind, a.subject_id, a.rule ORDER BY h.at) AS again
    FROM alert_history h JOIN alert a USING (alert_id)
    WHERE h.at >= %(start)s AND h.at < %(end)s AND h.action IN ('raised', 'raised_again')
        AND (%(network)s::text IS NULL OR a.network = %(network)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
)
SELECT count(*) FROM spell
WHERE ended < began + interval '10 seconds' AND (again IS NULL OR again > ended + interval '1 minute');

-- name: stale
-- Alerts that had been active for more than a day at some time of the period.
WITH spell AS (
    SELECT a.alert_id, a.network, a.level, a.rule, h.at AS began,
        (SELECT min(r.at) FROM alert_history r WHERE r.alert_id = a.alert_id AND r.action = 'returned' AND r.at >= h.at) AS ended
    FROM alert a JOIN alert_history h USING (alert_id)
    WHERE h.action IN ('raised', 'raised_again') AND h.at < %(end)s::timestamptz - interval '1 day'
        AND a.raised_at < %(end)s AND (a.closed_at IS NULL OR a.closed_at >= %(start)s)
        AND (%(network)s::text IS NULL OR a.network = %(network)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
)
SELECT alert_id, network, level, rule, min(began), max(least(coalesce(ended, %(end)s), %(end)s) - began)
FROM spell
WHERE coalesce(ended, %(end)s) >= %(start)s AND least(coalesce(ended, %(end)s), %(end)s) - began > interval '1 day'
GROUP BY alert_id, network, level, rule ORDER BY min(began), alert_id;

-- name: clocks
-- From the raise to the acknowledgement and to handled, in seconds, by level (the worst that the alert had), network and team.
WITH clock AS (
    SELECT a.network, coalesce(r.team, '') AS team,
        (SELECT min(to_level) FROM alert_history h WHERE h.alert_id = a.alert_id) AS level,
        extract(epoch FROM (SELECT min(at) FROM alert_history h WHERE h.alert_id = a.alert_id AND h.action = 'acknowledged')
            - a.raised_at) AS acknowledged_s,
        extract(epoch FROM (SELECT min(at) FROM response_history h
            WHERE h.alert_id = a.alert_id AND h.action = 'step' AND h.to_step = 'on_site') - a.raised_at) AS on_site_s,
        extract(epoch FROM (SELECT min(at) FROM response_history h
            WHERE h.alert_id = a.alert_id AND h.action = 'step' AND h.to_step = 'handled') - a.raised_at) AS handled_s
    FROM alert a LEFT JOIN response r USING (alert_id)
    WHERE a.raised_at >= %(start)s AND a.raised_at < %(end)s
        AND (%(network)s::text IS NULL OR a.network = %(network)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
)
SELECT CASE WHEN GROUPING(level) = 0 THEN 'level' WHEN GROUPING(network) = 0 THEN 'network' WHEN GROUPING(team) = 0 THEN 'team'
        ELSE 'all' END,
    coalesce((ARRAY['red', 'orange', 'yellow', 'blue'])[level], network, team, ''), count(*),
    count(acknowledged_s), avg(acknowledged_s)::float8, percentile_cont(0.9) WITHIN GROUP (ORDER BY acknowledged_s::float8),
    count(on_site_s), avg(on_site_s)::float8,
    count(handled_s), avg(handled_s)::float8, percentile_cont(0.9) WITHIN GROUP (ORDER BY handled_s::float8)
FROM clock
GROUP BY GROUPING SETS ((), (level), (network), (team))
HAVING count(*) > 0
ORDER BY GROUPING(level, network, team) DESC, level, network, team;

-- name: precision
-- Labels by rule and network: the newest of each alert.
WITH label AS (
    SELECT DISTINCT ON (f.alert_id) a.rule, a.network, f.genuine
    FROM feedback f JOIN alert a USING (alert_id)
    WHERE a.raised_at >= %(start)s AND a.raised_at < %(end)s
        AND (%(network)s::text IS NULL OR a.network = %(network)s) AND (%(kind)s::text IS NULL OR a.kind = %(kind)s)
    ORDER BY f.alert_id, f.feedback_id DESC
)
SELECT rule, network, count(*) FILTER (WHERE genuine), count(*) FILTER (WHERE NOT genuine) FROM label
GROUP BY rule, network ORDER BY rule, network;
