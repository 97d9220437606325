-- Alert operations: one story for one incident (messages, reminders, escalation, deadlines), planned work by zone, sensor and
-- device, rules as people see and change them, and proposals. docs/reference/{incidents,response,webhooks,rules}.md say what for.

---------------------------------------------------------------------------------------------------- messages by incident

ALTER TABLE incident
    -- The alert under which the response to the incident is kept: one step, one team and one deadline for the whole event.
    ADD COLUMN response_alert bigint REFERENCES alert,
    -- alarm: some alert is active and not muted; muted: all that are active are; returned: none is active.
    ADD COLUMN phase text NOT NULL DEFAULT 'alarm' CHECK (phase IN ('alarm', 'muted', 'returned')),
    -- Nobody has acknowledged any of its alerts since; NULL: somebody has. A rise of the level begins it anew.
    ADD COLUMN unattended_since timestamptz,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text;
UPDATE incident SET response_alert = lead_alert,
    unattended_since = CASE WHEN closed_at IS NULL THEN opened_at END;
ALTER TABLE incident ALTER COLUMN response_alert SET NOT NULL;

ALTER TABLE incident_history
    DROP CONSTRAINT incident_history_action_check,
    ADD CONSTRAINT incident_history_action_check CHECK (action IN ('opened', 'grown', 'escalated', 'deescalated', 'explained',
        'absorbed', 'merged', 'acknowledged', 'returned', 'raised_again', 'muted', 'closed'));

ALTER TABLE endpoint
    -- incident: risk is told by its incident, one message for an event; alert: each alert is told. Maintenance alerts have no
    -- incident and are told one by one. Types that `events` names come in any case.
    ADD COLUMN scope text NOT NULL DEFAULT 'incident' CHECK (scope IN ('incident', 'alert')),
    ADD COLUMN zones text[];                    -- only what lies in one of these zones (external ids); NULL: anywhere
-- Who was told of single alerts before goes on to be.
UPDATE endpoint SET scope = 'alert';

CREATE TABLE incident_escalation_told (
    incident_id bigint NOT NULL REFERENCES incident,
    escalation_id integer NOT NULL REFERENCES escalation ON DELETE CASCADE,
    since timestamptz NOT NULL,                 -- unattended since: a rise of the level goes through the chain anew
    told_at timestamptz NOT NULL,
    PRIMARY KEY (incident_id, escalation_id, since)
);

-- Which messages of an endpoint go together: of incidents, those of one network, cause and level.
CREATE FUNCTION group_key(e endpoint, i incident) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws(' / ', CASE WHEN 'network' = ANY (e.group_by) THEN i.networks[1] END,
        CASE WHEN 'rule' = ANY (e.group_by) THEN 'incident.' || coalesce(i.causes -> 0 ->> 'cause', 'unknown') END,
        CASE WHEN 'level' = ANY (e.group_by) THEN (ARRAY['red', 'orange', 'yellow', 'blue'])[i.level] END)
$$;

-- Whether an endpoint asked for messages about an incident.
CREATE FUNCTION wants(e endpoint, i incident) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT e.enabled AND i.worst_level <= e.worst_level AND 'risk' = ANY (e.kinds)
        AND (e.networks IS NULL OR i.networks && e.networks)
$$;

-- Whether a message of this type is for an endpoint: what its events name; without events, what its scope says.
-- A risk alert without an incident (raised by hand) is told by itself, or it would not be told at all.
CREATE FUNCTION hears(e endpoint, event_type text, by_incident boolean, has_incident boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN e.events IS NOT NULL THEN event_type = ANY (e.events)
        WHEN by_incident THEN e.scope = 'incident'
        ELSE e.scope = 'alert' OR NOT has_incident END
$$;

-- As before, with the response to the incident, whether somebody attends to it, and whether it has returned.
CREATE OR REPLACE FUNCTION incident_message(i incident, event_type text, at timestamptz, actor text, note text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('type', event_type, 'timestamp', at, 'data', jsonb_build_object(
        'incident_id', i.incident_id, 'alert_id', NULL, 'version', i.version, 'networks', i.networks, 'network', a.network,
        'kind', 'risk', 'rule', 'incident.' || coalesce(i.causes -> 0 ->> 'cause', 'unknown'),
        'level', (ARRAY['red', 'orange', 'yellow', 'blue'])[i.level], 'state', i.state, 'first_seen', i.first_seen,
        'raised_at', i.opened_at, 'actor', actor, 'note', note, 'merged_into', i.merged_into,
        'phase', i.phase, 'attended', i.unattended_since IS NULL, 'acknowledged_by', i.acknowledged_by,
        'response_alert', i.response_alert,
        'response', (SELECT jsonb_build_object('step', coalesce(r.step, 'received'), 'since', coalesce(r.since, i.opened_at),
            'team', coalesce(r.team, '')) FROM (VALUES (1)) one LEFT JOIN response r ON r.alert_id = i.response_alert),
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

------------------------------------------------------------------------------------------------------ response, continued

ALTER TABLE response ADD COLUMN assignee text NOT NULL DEFAULT ''; -- the person who has it
ALTER TABLE response_history
    DROP CONSTRAINT response_history_action_check,
    ADD CONSTRAINT response_history_action_check CHECK (action IN ('step', 'overdue', 'feedback', 'assigned', 'note'));

------------------------------------------------------------------------------------------------------------- planned work

ALTER TABLE maintenance_window
    ADD COLUMN zone text,                       -- external id of a zone
    ADD COLUMN sensor_id integer REFERENCES sensor,
    ADD COLUMN device_id integer REFERENCES device,
    DROP CONSTRAINT maintenance_window_check,
    ADD CONSTRAINT maintenance_window_about CHECK (num_nonnulls(network, zone, asset_id, sensor_id, device_id, rule) > 0);

------------------------------------------------------------------------------------------------- rules and changes to them

-- The rules in force, as `alerts` read them when it began to lead: for people and the API, which cannot read its files.
CREATE TABLE rule (
    rule text PRIMARY KEY,
    version text NOT NULL,                      -- hash of its content
    detector text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('risk', 'maintenance')),
    networks text[] NOT NULL,                   -- {}: all
    content jsonb NOT NULL,                     -- everything that the file says of it: title, advice, limits, delays ...
    loaded_at timestamptz NOT NULL
);

ALTER TABLE rule_override
    DROP CONSTRAINT rule_override_scope_check,
    ADD CONSTRAINT rule_override_scope_check CHECK (scope IN ('network', 'asset_kind', 'zone', 'asset', 'sensor'));

-- A change to a rule at one place, before it is made. `alerts` answers what it would have done (`effect`); a person decides.
CREATE TABLE rule_proposal (
    proposal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('network', 'asset_kind', 'zone', 'asset', 'sensor')),
    target text NOT NULL,
    action text NOT NULL CHECK (action IN ('limits', 'off', 'remove')),
    limits jsonb,
    before jsonb,                               -- what held there when it was proposed: {"limits": ...}; NULL: nothing
    note text NOT NULL DEFAULT '',
    reason jsonb NOT NULL DEFAULT '{}',         -- of the nightly report: labels, precision
    proposed_by text NOT NULL,                  -- a person, or `nightly`
    proposed_at timestamptz NOT NULL,
    days double precision NOT NULL CHECK (days > 0 AND days <= 90),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'evaluated', 'failed', 'accepted', 'rejected')),
    effect jsonb,                               -- alerts by level with the limits in force and with these
    evaluated_at timestamptz,
    decided_by text,
    decided_at timestamptz,
    decision_note text NOT NULL DEFAULT '',
    CHECK ((action = 'limits') = (limits IS NOT NULL))
);
CREATE INDEX rule_proposal_waiting ON rule_proposal (proposal_id) WHERE state = 'waiting';

-- Every change of an override: its versions. Append-only.
CREATE TABLE rule_change (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL,
    scope text NOT NULL,
    target text NOT NULL,
    before jsonb,                               -- {"limits": ...}; NULL: there was no override
    after jsonb,                                -- NULL: there is none any more
    actor text NOT NULL,
    at timestamptz NOT NULL,
    note text NOT NULL DEFAULT '',
    proposal_id bigint REFERENCES rule_proposal
);
CREATE INDEX rule_change_rule ON rule_change (rule, change_id);
CREATE TRIGGER rule_change_append_only BEFORE UPDATE OR DELETE ON rule_change FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What the nightly report found: precision of a rule in a network and zone by what people said of its alerts.
CREATE TABLE precision_report (
    report_date date NOT NULL,                  -- the city's day on whose morning it was made
    rule text NOT NULL,
    network text NOT NULL,
    zone text NOT NULL,                         -- '': the whole network
    alerts integer NOT NULL,                    -- raised in the 90 days before
    genuine integer NOT NULL,
    false_alarms integer NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (report_date, rule, network, zone)
);

-------------------------------------------------------------------------------------------------- secrets, behind a door

-- A new secret for a webhook; the old one signs beside it until then. The API may call it and can still read no secret.
CREATE FUNCTION rotate_secret(endpoint_name text, fresh text, at timestamptz, old_until timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM endpoint_secret WHERE until <= at;
    INSERT INTO endpoint_secret (endpoint_id, secret, until)
    SELECT endpoint_id, secret, old_until FROM endpoint WHERE name = endpoint_name AND format <> 'chat';
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE endpoint SET secret = fresh WHERE name = endpoint_name;
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION rotate_secret(text, text, timestamptz, timestamptz) FROM PUBLIC;

------------------------------------------------------------------------------------------------------------------ rights

GRANT SELECT, INSERT ON incident_escalation_told TO lifeline_alerts;
GRANT SELECT, INSERT, UPDATE, DELETE ON rule TO lifeline_alerts;
GRANT SELECT, INSERT ON rule_proposal TO lifeline_alerts;
GRANT UPDATE (state, effect, evaluated_at) ON rule_proposal TO lifeline_alerts;
GRANT SELECT ON rule_change TO lifeline_alerts;
GRANT SELECT, INSERT, DELETE ON precision_report TO lifeline_alerts;

-- The API changes the life cycle of an alert, and nothing of what was found.
REVOKE UPDATE ON alert FROM lifeline_api;
GRANT UPDATE (state, level, evidence, version, updated_at, acknowledged_at, acknowledged_by, returned_at, closed_at, shelved_until)
    ON alert TO lifeline_api;
GRANT SELECT ON incident_escalation_told, rule, rule_proposal, rule_change, precision_report, delivery_group TO lifeline_api;
GRANT INSERT, UPDATE ON rule_proposal TO lifeline_api;
GRANT INSERT ON rule_change TO lifeline_api;
GRANT SELECT (scope, zones) ON endpoint TO lifeline_api;
GRANT INSERT ON endpoint TO lifeline_api;
GRANT UPDATE (url, format, events, links, networks, kinds, worst_level, scope, zones, quiet_from, quiet_until, quiet_zone, group_by,
    group_wait_s, group_interval_s, repeat_s, enabled, disabled_reason) ON endpoint TO lifeline_api;
GRANT INSERT, DELETE ON escalation TO lifeline_api;
GRANT INSERT ON delivery TO lifeline_api;
GRANT UPDATE (state, attempts, claimed, next_attempt_at, delivered_at) ON delivery TO lifeline_api;
GRANT EXECUTE ON FUNCTION rotate_secret(text, text, timestamptz, timestamptz) TO lifeline_api;
