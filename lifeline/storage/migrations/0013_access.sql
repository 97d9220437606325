-- Users and their sessions, scopes, the audit, answers kept for idempotency keys. docs/explanation/access.md says how they work.

------------------------------------------------------------------------------------------------- who may come in

ALTER TABLE api_key
    ADD COLUMN networks text[] CHECK (cardinality(networks) > 0), -- only these; NULL: every network
    ADD COLUMN zones text[] CHECK (cardinality(zones) > 0);       -- only what lies in these (external ids); NULL: everywhere

CREATE TABLE app_user (
    user_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,                  -- in lower case
    role text NOT NULL CHECK (role IN ('viewer', 'field', 'operator', 'engineer', 'admin')),
    password_hash text,                         -- argon2id with its parameters and salt; NULL: comes in by a link alone
    networks text[] CHECK (cardinality(networks) > 0),
    zones text[] CHECK (cardinality(zones) > 0),
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    password_changed_at timestamptz,
    last_login_at timestamptz
);

CREATE TABLE session (
    digest bytea PRIMARY KEY,                   -- SHA-256 of the random token in the cookie
    user_id integer NOT NULL REFERENCES app_user ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,          -- written once a minute at most: the idle time is counted from it
    expires_at timestamptz NOT NULL,
    address text NOT NULL DEFAULT ''
);
CREATE INDEX session_of_user ON session (user_id);

-- Opens one session, once, within minutes.
CREATE TABLE login_link (
    digest bytea PRIMARY KEY,
    user_id integer NOT NULL REFERENCES app_user ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

-- Wrong passwords in a row, by account and by address, known or not: nothing tells whether a name exists.
CREATE TABLE login_failure (
    subject bytea PRIMARY KEY,                  -- SHA-256 of what is counted
    failures integer NOT NULL,
    last_at timestamptz NOT NULL
);
CREATE INDEX login_failure_last_at ON login_failure (last_at);

-- Who has logged in from where: he is spared the address's wait, or one who guesses would keep out all who share it.
CREATE TABLE login_place (
    subject bytea PRIMARY KEY,                  -- SHA-256 of account and address
    last_at timestamptz NOT NULL
);
CREATE INDEX login_place_last_at ON login_place (last_at);

-- The answer to a request that came with an Idempotency-Key; status NULL: still at work.
CREATE TABLE kept_answer (
    caller text NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,                 -- SHA-256 of method, path, query and body
    begun_at timestamptz NOT NULL,
    status integer,
    media_type text,
    body bytea,
    PRIMARY KEY (caller, idempotency_key)
);
CREATE INDEX kept_answer_begun ON kept_answer (begun_at);

------------------------------------------------------------------------------------------------------------- audit

CREATE TABLE audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    actor_kind text NOT NULL,                   -- key, user, token, link, command
    address text NOT NULL DEFAULT '',
    request text NOT NULL DEFAULT '',           -- method and path
    action text NOT NULL CHECK (action IN ('insert', 'update', 'delete')),
    what text NOT NULL,                         -- the table
    id text NOT NULL,
    before jsonb,                               -- fields that changed, without secrets
    after jsonb
);
CREATE INDEX audit_actor ON audit (actor, audit_id DESC);
CREATE INDEX audit_what ON audit (what, id, audit_id DESC);
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- One row of audit for one row that somebody changed, in the change's own transaction. Who acts is told by the setting
-- lifeline.actor; without it no person acts and nothing is noted. Arguments: the id's column, then columns that are secret.
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    who jsonb := nullif(current_setting('lifeline.actor', true), '')::jsonb;
    was jsonb;
    became jsonb;
    row_id text;
    place integer;
BEGIN
    IF who IS NULL THEN RETURN NULL; END IF;
    IF TG_OP <> 'INSERT' THEN was := to_jsonb(OLD); END IF;
    IF TG_OP <> 'DELETE' THEN became := to_jsonb(NEW); END IF;
    row_id := coalesce(coalesce(became, was) ->> TG_ARGV[0], '');   -- a line about many (an import) names none
    FOR place IN 1 .. TG_NARGS - 1 LOOP         -- that a secret changed is told, never what it was or is
        IF TG_OP = 'UPDATE' AND was -> TG_ARGV[place] IS DISTINCT FROM became -> TG_ARGV[place] THEN
            was := jsonb_set(was, ARRAY[TG_ARGV[place]], '"old"');
            became := jsonb_set(became, ARRAY[TG_ARGV[place]], '"new"');
        ELSE
            was := was - TG_ARGV[place];
            became := became - TG_ARGV[place];
        END IF;
    END LOOP;
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(n.key, n.value) INTO was, became
        FROM jsonb_each(was) o JOIN jsonb_each(became) n USING (key) WHERE o.value IS DISTINCT FROM n.value;
        IF became IS NULL THEN RETURN NULL; END IF;
    END IF;
    INSERT INTO audit (at, actor, actor_kind, address, request, action, what, id, before, after)
    VALUES ((who ->> 'at')::timestamptz, who ->> 'name', who ->> 'kind', coalesce(who ->> 'address', ''),
        coalesce(who ->> 'request', ''), lower(TG_OP), TG_TABLE_NAME, row_id, was, became);
    RETURN NULL;
END $$;

CREATE TRIGGER api_key_audit AFTER INSERT OR DELETE OR UPDATE OF role, expires_at, revoked_at, networks, zones ON api_key
    FOR EACH ROW EXECUTE FUNCTION note_change('name', 'digest');
CREATE TRIGGER app_user_audit AFTER INSERT OR DELETE OR UPDATE OF role, password_hash, networks, zones, disabled_at ON app_user
    FOR EACH ROW EXECUTE FUNCTION note_change('name', 'password_hash');
CREATE TRIGGER session_audit AFTER INSERT OR DELETE ON session FOR EACH ROW EXECUTE FUNCTION note_change('user_id', 'digest');
CREATE TRIGGER login_link_audit AFTER INSERT ON login_link FOR EACH ROW EXECUTE FUNCTION note_change('user_id', 'digest');
CREATE TRIGGER endpoint_audit AFTER INSERT OR UPDATE OR DELETE ON endpoint
    FOR EACH ROW EXECUTE FUNCTION note_change('name', 'secret', 'url');
CREATE TRIGGER escalation_audit AFTER INSERT OR UPDATE OR DELETE ON escalation
    FOR EACH ROW EXECUTE FUNCTION note_change('escalation_id');
CREATE TRIGGER maintenance_window_audit AFTER INSERT OR UPDATE OR DELETE ON maintenance_window
    FOR EACH ROW EXECUTE FUNCTION note_change('window_id');
CREATE TRIGGER rule_proposal_audit AFTER INSERT OR UPDATE ON rule_proposal
    FOR EACH ROW EXECUTE FUNCTION note_change('proposal_id');
CREATE TRIGGER rule_change_audit AFTER INSERT ON rule_change FOR EACH ROW EXECUTE FUNCTION note_change('rule');
CREATE TRIGGER job_audit AFTER INSERT OR UPDATE ON job FOR EACH ROW EXECUTE FUNCTION note_change('job_id');
CREATE TRIGGER inventory_history_audit AFTER INSERT ON inventory_history
    FOR EACH ROW EXECUTE FUNCTION note_change('external_id');
CREATE TRIGGER alert_history_audit AFTER INSERT ON alert_history FOR EACH ROW EXECUTE FUNCTION note_change('alert_id');
CREATE TRIGGER response_history_audit AFTER INSERT ON response_history FOR EACH ROW EXECUTE FUNCTION note_change('alert_id');
CREATE TRIGGER feedback_audit AFTER INSERT ON feedback FOR EACH ROW EXECUTE FUNCTION note_change('alert_id');
CREATE TRIGGER field_photo_audit AFTER INSERT ON field_photo
    FOR EACH ROW EXECUTE FUNCTION note_change('alert_id', 'content', 'digest', 'nonce');

------------------------------------------------------------------------------------------------------------ scopes

-- The role in which the API asks for somebody who may see a part of the city alone. Its rights are those of lifeline_api
-- without the tables of who may come in (share_rights, called at the end of each `lifeline migrate`); policies hold its rows.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lifeline_scoped') THEN
        BEGIN
            CREATE ROLE lifeline_scoped NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this cluster was faster
        END;
    END IF;
    IF NOT pg_has_role('lifeline_api', 'lifeline_scoped', 'MEMBER') THEN
        GRANT lifeline_scoped TO lifeline_api;
    END IF;
    IF NOT pg_has_role(current_user, 'lifeline_scoped', 'MEMBER') THEN -- an API that runs as the schema's owner
        BEGIN
            EXECUTE format('GRANT lifeline_scoped TO %I', current_user);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'the API must run as lifeline_api: % may not grant itself lifeline_scoped', current_user;
        END;
    END IF;
END $$;
GRANT USAGE ON SCHEMA public TO lifeline_scoped;

CREATE FUNCTION share_rights() RETURNS void LANGUAGE plpgsql AS $$
DECLARE statement text;
BEGIN
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM lifeline_scoped;
    FOR statement IN
        SELECT format('GRANT %s ON %s TO lifeline_scoped', g.privilege_type, c.oid::regclass)
        FROM pg_class c CROSS JOIN aclexplode(c.relacl) g
        WHERE c.relnamespace = 'public'::regnamespace AND g.grantee = 'lifeline_api'::regrole AND c.relname NOT IN
            ('api_key', 'app_user', 'session', 'login_link', 'login_failure', 'login_place', 'kept_answer', 'audit')
        UNION ALL
        SELECT format('GRANT %s (%I) ON %s TO lifeline_scoped', g.privilege_type, a.attname, c.oid::regclass)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid CROSS JOIN aclexplode(a.attacl) g
        WHERE c.relnamespace = 'public'::regnamespace AND g.grantee = 'lifeline_api'::regrole
            AND c.relname NOT IN ('api_key', 'app_user', 'session')
        UNION ALL
        SELECT format('GRANT EXECUTE ON FUNCTION %s TO lifeline_scoped', p.oid::regprocedure)
        FROM pg_proc p CROSS JOIN aclexplode(p.proacl) g
        WHERE p.pronamespace = 'public'::regnamespace AND g.grantee = 'lifeline_api'::regrole
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION share_rights() FROM PUBLIC;

-- The scope of this connection: settings that the API writes before anything else. NULL: no limit ('*'); not set: nothing.
CREATE FUNCTION scope_networks() RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN said = '*' THEN NULL ELSE coalesce(nullif(said, '')::text[], '{}') END
    FROM (SELECT coalesce(current_setting('lifeline.networks', true), '') AS said) setting
$$;
CREATE FUNCTION scope_zones() RETURNS integer[] LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN said = '*' THEN NULL ELSE coalesce(nullif(said, '')::integer[], '{}') END
    FROM (SELECT coalesce(current_setting('lifeline.zones', true), '') AS said) setting
$$;
-- Devices with a sensor in the scope's zones, and the gateways before them. Reads sensors past their policy, which asks for devices.
CREATE FUNCTION scope_devices() RETURNS SETOF integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH own AS (
        SELECT d.device_id, d.gateway_id FROM device d JOIN sensor s USING (device_id) JOIN zone_sensor m USING (sensor_id)
        WHERE m.zone_id = ANY (scope_zones())
        UNION
        SELECT d.device_id, d.gateway_id FROM device d JOIN sensor s USING (device_id) JOIN zone_asset m USING (asset_id)
        WHERE m.zone_id = ANY (scope_zones())
    )
    SELECT device_id FROM own UNION SELECT gateway_id FROM own WHERE gateway_id IS NOT NULL
$$;

-- The alert that holds the response to an event, past its policy: asked for one that an alert or incident that is visible names.
-- The second keeps it until the transaction ends.
CREATE FUNCTION held_alert(holder bigint) RETURNS SETOF alert
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
    SELECT * FROM alert WHERE alert_id = holder
$$;
CREATE FUNCTION hold_alert(holder bigint) RETURNS SETOF alert
LANGUAGE sql VOLATILE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
    SELECT * FROM alert WHERE alert_id = holder FOR UPDATE
$$;
REVOKE ALL ON FUNCTION held_alert(bigint), hold_alert(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION held_alert(bigint), hold_alert(bigint) TO lifeline_api, lifeline_alerts;
CREATE INDEX incident_response_alert ON incident (response_alert);

-- A message tells of the whole event, whoever causes it: those who get it are told by their own networks.
ALTER FUNCTION alert_message(alert, text, timestamptz, text, text) SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION incident_message(incident, text, timestamptz, text, text) SECURITY DEFINER SET search_path = public, pg_temp;

DO $$
DECLARE
    network_fits CONSTANT text := '((SELECT scope_networks()) IS NULL OR network = ANY ((SELECT scope_networks())::text[]))';
    anywhere CONSTANT text := '(SELECT scope_zones()) IS NULL';
    asset_fits CONSTANT text := 'asset_id IN (SELECT asset_id FROM zone_asset WHERE zone_id = ANY ((SELECT scope_zones())::integer[]))';
    sensor_fits CONSTANT text := 'sensor_id IN (SELECT sensor_id FROM zone_sensor WHERE zone_id = ANY ((SELECT scope_zones())::integer[]))';
    device_fits CONSTANT text := 'device_id IN (SELECT scope_devices())';
    of_alert CONSTANT text := 'EXISTS (SELECT FROM alert a WHERE a.alert_id = %I.alert_id)';
    -- Kept under one alert of an incident, which may lie in another network than the alert by which one sees the incident.
    of_event CONSTANT text := of_alert || ' OR EXISTS (SELECT FROM incident i WHERE i.response_alert = %1$I.alert_id)';
    held record;
BEGIN
    FOR held IN SELECT * FROM (VALUES
        ('asset', network_fits || ' AND (' || anywhere || ' OR ' || asset_fits || ')'),
        ('device', network_fits || ' AND (' || anywhere || ' OR ' || device_fits || ')'),
        ('sensor', 'EXISTS (SELECT FROM device d WHERE d.device_id = sensor.device_id) AND ('
            || anywhere || ' OR ' || sensor_fits || ' OR ' || asset_fits || ')'),
        ('zone', '(network IS NULL OR ' || network_fits || ') AND (' || anywhere
            || ' OR zone_id = ANY ((SELECT scope_zones())::integer[]))'),
        ('alert', network_fits || ' AND (' || anywhere || ' OR ' || asset_fits || ' OR ' || sensor_fits
            || ' OR subject_kind = ''device'' AND ' || device_fits
            || ' OR subject_kind = ''zone'' AND subject_id = ANY ((SELECT scope_zones())::integer[]))'),
        ('incident', 'EXISTS (SELECT FROM alert a WHERE a.incident_id = incident.incident_id)'),
        ('incident_history', 'EXISTS (SELECT FROM incident i WHERE i.incident_id = incident_history.incident_id)'),
        ('alert_history', format(of_alert, 'alert_history')),
        ('response', format(of_event, 'response')),
        ('response_history', format(of_event, 'response_history')),
        ('feedback', format(of_alert, 'feedback')),
        ('field_photo', format(of_alert, 'field_photo')),
        -- All that a window names lies in the scope, and it names enough to be held to it.
        ('maintenance_window', '(network IS NULL OR ' || network_fits || ')'
            || ' AND (asset_id IS NULL OR EXISTS (SELECT FROM asset a WHERE a.asset_id = maintenance_window.asset_id))'
            || ' AND (sensor_id IS NULL OR EXISTS (SELECT FROM sensor s WHERE s.sensor_id = maintenance_window.sensor_id))'
            || ' AND (device_id IS NULL OR EXISTS (SELECT FROM device d WHERE d.device_id = maintenance_window.device_id))'
            || ' AND (zone IS NULL OR EXISTS (SELECT FROM zone z WHERE z.external_id = maintenance_window.zone'
            || ' AND ((SELECT scope_networks()) IS NULL OR z.network IS NOT NULL OR maintenance_window.network IS NOT NULL)))'
            || ' AND (num_nonnulls(asset_id, sensor_id, device_id, zone) > 0 OR network IS NOT NULL AND ' || anywhere || ')')
        ) AS held (name, condition)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', held.name);
        EXECUTE format('CREATE POLICY everything ON %I TO lifeline_ingest, lifeline_alerts, lifeline_api, lifeline_planning'
            ' USING (true) WITH CHECK (true)', held.name);
        EXECUTE format('CREATE POLICY scope ON %I TO lifeline_scoped USING (%s) WITH CHECK (%2$s)', held.name, held.condition);
    END LOOP;
END $$;

------------------------------------------------------------------------------------------------------------ rights

GRANT INSERT, UPDATE ON app_user TO lifeline_api;
GRANT INSERT, UPDATE (revoked_at) ON api_key TO lifeline_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON session, login_link, login_failure, login_place, kept_answer TO lifeline_api;
GRANT SELECT (last_at), DELETE ON login_failure, login_place TO lifeline_alerts; -- its retention
GRANT SELECT ON app_user, audit TO lifeline_api;
