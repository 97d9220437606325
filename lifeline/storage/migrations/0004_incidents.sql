-- Incidents: risk alerts that one event explains. docs/reference/incidents.md says how they are found.

CREATE TABLE incident (
    incident_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    level smallint NOT NULL CHECK (level BETWEEN 1 AND 4),          -- of the worst open alert
    worst_level smallint NOT NULL CHECK (worst_level BETWEEN 1 AND 4), -- it ever had: who was told once is told the end
    networks text[] NOT NULL,                   -- of its alerts
    causes jsonb NOT NULL,                      -- ranked, the likeliest first, each with what speaks for and against it
    lead_alert bigint NOT NULL REFERENCES alert, -- the worst, of those the first: the incident's place is its place
    longitude double precision,
    latitude double precision,
    first_seen timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    closed_at timestamptz,
    merged_into bigint REFERENCES incident,     -- the older one that it turned out to be part of
    version integer NOT NULL DEFAULT 1,         -- compare-and-set
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK (merged_into IS NULL OR state = 'closed' AND merged_into < incident_id)
);
CREATE INDEX incident_open ON incident (level, opened_at DESC, incident_id DESC) WHERE closed_at IS NULL;
CREATE INDEX incident_opened ON incident (opened_at DESC, incident_id DESC);

-- The incident that an alert belongs to; every open risk alert has one. Maintenance alerts have none.
ALTER TABLE alert ADD COLUMN incident_id bigint REFERENCES incident;
CREATE INDEX alert_incident ON alert (incident_id) WHERE incident_id IS NOT NULL;

CREATE TABLE incident_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id bigint NOT NULL REFERENCES incident,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL CHECK (action IN
        ('opened', 'grown', 'escalated', 'deescalated', 'explained', 'absorbed', 'merged', 'closed')),
    from_level smallint,
    to_level smallint NOT NULL,
    cause text NOT NULL,                        -- the likeliest, then
    alerts bigint[] NOT NULL DEFAULT '{}',      -- that came to it
    other bigint REFERENCES incident            -- that it absorbed, or was merged into
);
CREATE INDEX incident_history_incident ON incident_history (incident_id, history_id);
CREATE TRIGGER incident_history_append_only BEFORE UPDATE OR DELETE ON incident_history
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

ALTER TABLE outbox ADD COLUMN incident_id bigint REFERENCES incident;
CREATE INDEX outbox_incident ON outbox (incident_id) WHERE incident_id IS NOT NULL;

-- What a message about an incident says: the keys of a message about an alert, so that every format can tell it, and its
-- alerts, worst first, 20 at most.
CREATE FUNCTION incident_message(i incident, event_type text, at timestamptz, actor text, note text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('type', event_type, 'timestamp', at, 'data', jsonb_build_object(
        'incident_id', i.incident_id, 'alert_id', NULL, 'version', i.version, 'networks', i.networks, 'network', a.network,
        'kind', 'risk', 'rule', 'incident.' || coalesce(i.causes -> 0 ->> 'cause', 'unknown'),
        'level', (ARRAY['red', 'orange', 'yellow', 'blue'])[i.level], 'state', i.state, 'first_seen', i.first_seen,
        'raised_at', i.opened_at, 'actor', actor, 'note', note, 'merged_into', i.merged_into,
        'title', i.causes -> 0 -> 'title', 'advice', i.causes -> 0 -> 'advice',
        'evidence', jsonb_build_object('sure', i.causes -> 0 -> 'share', 'causes', i.causes), 'count', members.count, 'open', members.open,
        'alerts', members.list, 'lead_alert', i.lead_alert,
        'where', jsonb_build_object('asset', t.external_id, 'asset_name', t.name, 'device', d.external_id,
            'device_name', d.name, 'channel', s.channel, 'sensor_name', s.name,
            'longitude', i.longitude, 'latitude', i.latitude)))
    FROM alert a
    LEFT JOIN asset t ON t.asset_id = a.asset_id
    LEFT JOIN device d ON d.device_id = a.device_id
    LEFT JOIN sensor s ON s.sensor_id = a.sensor_id
    CROSS JOIN LATERAL (
        SELECT max(count) AS count, max(open) AS open, jsonb_agg(jsonb_build_object('alert_id', alert_id,
            'level', (ARRAY['red', 'orange', 'yellow', 'blue'])[level], 'state', state, 'network', network, 'rule', rule,
            'title', evidence -> 'title', 'asset', external_id, 'asset_name', name) ORDER BY place) AS list
        FROM (
            SELECT m.*, n.external_id, n.name, count(*) OVER () AS count,
                count(*) FILTER (WHERE m.closed_at IS NULL) OVER () AS open,
                row_number() OVER (ORDER BY m.closed_at IS NOT NULL, m.level, m.first_seen, m.alert_id) AS place
            FROM alert m LEFT JOIN asset n ON n.asset_id = m.asset_id WHERE m.incident_id = i.incident_id
        ) few WHERE place <= 20
    ) members
    WHERE a.alert_id = i.lead_alert
$$;

GRANT SELECT ON incident, incident_history TO lifeline_alerts, lifeline_api;
GRANT INSERT, UPDATE ON incident TO lifeline_alerts;
GRANT INSERT ON incident_history TO lifeline_alerts;
