-- Notification and response: body formats, pacing, escalation, the response loop, field links, shelving, maintenance
-- windows. docs/reference/response.md and webhooks.md say what each is for.

---------------------------------------------------------------------------------------------------------- endpoints

ALTER TABLE endpoint
    ADD COLUMN format text NOT NULL DEFAULT 'own' CHECK (format IN ('own', 'cloudevents', 'alertmanager', 'cap', 'chat')),
    ADD COLUMN events text[],                   -- NULL: every type of message; {}: only what is meant for it by name
    ADD COLUMN links boolean NOT NULL DEFAULT true, -- whether messages carry field links, where LIFELINE_LINK_SECRET is set
    ADD COLUMN quiet_from time,                 -- quiet hours by the wall clock of quiet_zone; red ignores them
    ADD COLUMN quiet_until time,
    ADD COLUMN quiet_zone text NOT NULL DEFAULT 'Asia/Shanghai',
    ADD COLUMN group_by text[] NOT NULL DEFAULT '{network,rule}' CHECK (group_by <@ '{network,rule,level}'::text[]),
    ADD COLUMN group_wait_s integer NOT NULL DEFAULT 0 CHECK (group_wait_s >= 0),           -- 0: no grouping
    ADD COLUMN group_interval_s integer NOT NULL DEFAULT 300 CHECK (group_interval_s >= 0),
    ADD COLUMN repeat_s integer CHECK (repeat_s >= 60),                                     -- NULL: no reminders
    ADD CHECK ((quiet_from IS NULL) = (quiet_until IS NULL) AND coalesce(quiet_from <> quiet_until, true)),
    ADD CHECK (format <> 'cap' OR group_wait_s = 0);

-- Secrets that were replaced. They sign beside the new one until they expire, so that a receiver can change at its leisure.
CREATE TABLE endpoint_secret (
    endpoint_id integer NOT NULL REFERENCES endpoint ON DELETE CASCADE,
    secret text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (endpoint_id, secret)
);

-- When the quiet hours end in which ``at`` lies; NULL outside of them.
CREATE FUNCTION end_of_quiet(e endpoint, at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN e.quiet_from IS NULL THEN NULL
        WHEN e.quiet_from < e.quiet_until AND clock >= e.quiet_from AND clock < e.quiet_until THEN (day + e.quiet_until) AT TIME ZONE e.quiet_zone
        WHEN e.quiet_from > e.quiet_until AND clock >= e.quiet_from THEN (day + 1 + e.quiet_until) AT TIME ZONE e.quiet_zone
        WHEN e.quiet_from > e.quiet_until AND clock < e.quiet_until THEN (day + e.quiet_until) AT TIME ZONE e.quiet_zone
    END
    FROM (SELECT (at AT TIME ZONE e.quiet_zone)::time AS clock, (at AT TIME ZONE e.quiet_zone)::date AS day) here
$$;

-- Whether an endpoint asked for messages about an alert. ``worst`` is the worst level that the alert ever had: who was told
-- of an alert is told all the rest as well.
CREATE FUNCTION wants(e endpoint, a alert, worst smallint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT e.enabled AND worst <= e.worst_level AND a.kind = ANY (e.kinds) AND (e.networks IS NULL OR a.network = ANY (e.networks))
$$;

-- Which messages of an endpoint go together.
CREATE FUNCTION group_key(e endpoint, a alert) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws(' / ', CASE WHEN 'network' = ANY (e.group_by) THEN a.network END,
        CASE WHEN 'rule' = ANY (e.group_by) THEN a.rule END,
        CASE WHEN 'level' = ANY (e.group_by) THEN (ARRAY['red', 'orange', 'yellow', 'blue'])[a.level] END)
$$;

-- held: waits for its group; grouped: went out as part of a message about its group.
ALTER TABLE delivery
    DROP CONSTRAINT delivery_state_check,
    ADD CONSTRAINT delivery_state_check CHECK (state IN ('held', 'grouped', 'pending', 'delivered', 'failed')),
    ADD COLUMN group_key text,
    ADD COLUMN held_at timestamptz,
    ADD COLUMN grouped_into bigint REFERENCES outbox,
    ADD CHECK ((state = 'held') <= (group_key IS NOT NULL AND held_at IS NOT NULL));
CREATE INDEX delivery_held ON delivery (endpoint_id, group_key) WHERE state = 'held';

-- When a group was told last: group_interval runs from then.
CREATE TABLE delivery_group (
    endpoint_id integer NOT NULL REFERENCES endpoint ON DELETE CASCADE,
    group_key text NOT NULL,
    flushed_at timestamptz NOT NULL,
    PRIMARY KEY (endpoint_id, group_key)
);

-- A stage of an escalation chain: an alert of this level or a worse one that nobody has acknowledged for so long is told to
-- this endpoint. Stages in order of after_s make the chain.
CREATE TABLE escalation (
    escalation_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint_id integer NOT NULL REFERENCES endpoint ON DELETE CASCADE,
    level smallint NOT NULL CHECK (level BETWEEN 1 AND 4),
    after_s integer NOT NULL CHECK (after_s > 0),
    network text,                               -- NULL: any
    team text,                                  -- NULL: any; else the team that has the alert
    created_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (endpoint_id, level, network, team)
);
CREATE TABLE escalation_told (
    alert_id bigint NOT NULL REFERENCES alert,
    escalation_id integer NOT NULL REFERENCES escalation ON DELETE CASCADE,
    since timestamptz NOT NULL,                 -- unacknowledged since: a new rise of the level goes through the chain anew
    told_at timestamptz NOT NULL,
    PRIMARY KEY (alert_id, escalation_id, since)
);

------------------------------------------------------------------------------------------------------ response loop

-- How far the response to an alert is. An alert without a row is received, since it was raised.
CREATE TABLE response (
    alert_id bigint PRIMARY KEY REFERENCES alert,
    step text NOT NULL CHECK (step IN
        ('received', 'confirmed', 'false_alarm', 'dispatched', 'on_site', 'handled', 'fed_back', 'archived')),
    since timestamptz NOT NULL,
    team text NOT NULL DEFAULT '',
    overdue_told_at timestamptz,                -- of this step
    version integer NOT NULL DEFAULT 1          -- compare-and-set
);
CREATE INDEX response_running ON response (alert_id) WHERE step <> 'archived';

CREATE TABLE response_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alert,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL CHECK (action IN ('step', 'overdue', 'feedback')),
    from_step text NOT NULL,
    to_step text NOT NULL,
    team text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT ''
);
CREATE INDEX response_history_alert ON response_history (alert_id, history_id);
CREATE TRIGGER response_history_append_only BEFORE UPDATE OR DELETE ON response_history
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What people said that an alert was worth: labels. The newest one of an alert counts.
CREATE TABLE feedback (
    feedback_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alert,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    genuine boolean NOT NULL,
    cause text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT ''
);
CREATE INDEX feedback_alert ON feedback (alert_id, feedback_id DESC);
CREATE TRIGGER feedback_append_only BEFORE UPDATE OR DELETE ON feedback
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Every use of a field link whose signature was right, also one that was refused. A link works once.
CREATE TABLE field_link_use (
    use_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    nonce text NOT NULL,
    alert_id bigint NOT NULL,
    action text NOT NULL,
    at timestamptz NOT NULL,
    endpoint_id integer NOT NULL,               -- where the link was sent to
    address text NOT NULL DEFAULT '',
    name text NOT NULL DEFAULT '',              -- as the person gave it; nobody has checked it
    outcome text NOT NULL CHECK (outcome IN ('done', 'expired', 'repeated', 'refused')),
    detail text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX field_link_once ON field_link_use (nonce) WHERE outcome = 'done';
CREATE INDEX field_link_alert ON field_link_use (alert_id);
CREATE TRIGGER field_link_use_append_only BEFORE UPDATE OR DELETE ON field_link_use
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- What a message about an alert says, as before and with the step of the response.
CREATE OR REPLACE FUNCTION alert_message(a alert, event_type text, at timestamptz, actor text, note text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('type', event_type, 'timestamp', at, 'data', jsonb_build_object(
        'alert_id', a.alert_id, 'version', a.version, 'network', a.network, 'kind', a.kind, 'rule', a.rule,
        'rule_version', a.rule_version, 'level', (ARRAY['red', 'orange', 'yellow', 'blue'])[a.level], 'state', a.state,
        'first_seen', a.first_seen, 'raised_at', a.raised_at, 'actor', actor, 'note', note,
        'title', a.evidence -> 'title', 'advice', a.evidence -> 'advice', 'evidence', a.evidence - 'title' - 'advice',
        'response', (SELECT jsonb_build_object('step', coalesce(r.step, 'received'), 'since', coalesce(r.since, a.raised_at),
            'team', coalesce(r.team, '')) FROM (VALUES (1)) one LEFT JOIN response r ON r.alert_id = a.alert_id),
        'where', (SELECT jsonb_build_object(
            'asset', t.external_id, 'asset_name', t.name, 'device', d.external_id, 'device_name', d.name,
            'channel', s.channel, 'sensor_name', s.name, 'longitude', a.longitude, 'latitude', a.latitude)
            FROM (VALUES (1)) one LEFT JOIN asset t ON t.asset_id = a.asset_id
            LEFT JOIN device d ON d.device_id = a.device_id LEFT JOIN sensor s ON s.sensor_id = a.sensor_id)))
$$;

--------------------------------------------------------------------------------------- shelving and planned work

ALTER TABLE alert ADD COLUMN shelved_until timestamptz;

-- What a (subject, rule) did before: the flap guard and the figures of alarm performance ask.
CREATE INDEX alert_subject ON alert (subject_kind, subject_id, rule, raised_at);
CREATE INDEX alert_history_at ON alert_history (at);

-- While a window is open nothing new is raised in it, and what is open there is out of service. A column that is NULL
-- matches anything; until NULL: until somebody ends it (out of service).
CREATE TABLE maintenance_window (
    window_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    network text,
    asset_id bigint REFERENCES asset,
    rule text,
    begins_at timestamptz NOT NULL,
    ends_at timestamptz,
    reason text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_by text,                              -- who ended it before its time
    CHECK (num_nonnulls(network, asset_id, rule) > 0),
    CHECK (ends_at >= begins_at)
);
CREATE INDEX maintenance_window_open ON maintenance_window (begins_at, ends_at);

------------------------------------------------------------------------------------------------------------- rights

GRANT SELECT ON endpoint_secret, delivery_group, escalation, escalation_told, response, response_history, feedback,
    field_link_use, maintenance_window TO lifeline_alerts;
GRANT INSERT, UPDATE ON delivery_group, response TO lifeline_alerts;
GRANT INSERT ON escalation_told, response_history TO lifeline_alerts;
GRANT DELETE ON endpoint_secret TO lifeline_alerts;

GRANT SELECT (format, events, links, quiet_from, quiet_until, quiet_zone, group_by, group_wait_s, group_interval_s, repeat_s)
    ON endpoint TO lifeline_api;
GRANT SELECT ON escalation, escalation_told, response, response_history, feedback, field_link_use, maintenance_window TO lifeline_api;
GRANT INSERT, UPDATE ON response, maintenance_window TO lifeline_api;
GRANT INSERT ON response_history, feedback, field_link_use TO lifeline_api;
