-- What is on whose desk.

-- name: running
-- How far the response to each open event is: of incidents, and of open risk alerts that belong to none. The clock of a step
-- begins again when the level rises; muted events have no deadline.
WITH holder AS (
    SELECT response_alert AS alert_id FROM incident WHERE closed_at IS NULL
    UNION SELECT alert_id FROM alert WHERE closed_at IS NULL AND kind = 'risk' AND incident_id IS NULL
)
SELECT i.incident_id, holder.alert_id, coalesce(i.level, a.level), coalesce(r.step, 'received'),
    coalesce(r.since, i.opened_at, a.raised_at), coalesce(r.team, ''), coalesce(r.assignee, ''),
    greatest(coalesce(r.since, i.opened_at, a.raised_at), CASE WHEN i.incident_id IS NULL
        THEN (SELECT max(at) FROM alert_history h
            WHERE h.alert_id = a.alert_id AND h.action IN ('escalated', 'raised_again') AND h.at > a.raised_at)
        ELSE (SELECT max(at) FROM incident_history h
            WHERE h.incident_id = i.incident_id AND h.action IN ('escalated', 'raised_again')) END),
    CASE WHEN i.incident_id IS NULL THEN a.state IN ('SHLVD', 'DSUPR', 'OOSRV') ELSE i.phase = 'muted' END
FROM holder
LEFT JOIN alert a USING (alert_id) -- that of an incident may lie outside of the asker's scope
LEFT JOIN incident i ON i.response_alert = holder.alert_id AND i.closed_at IS NULL
LEFT JOIN response r ON r.alert_id = holder.alert_id
ORDER BY 3, holder.alert_id LIMIT %(limit)s;
