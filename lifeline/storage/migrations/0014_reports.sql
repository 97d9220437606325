-- Citizens' reports (12345 hotline, 随手拍), and a role for dashboards. A report is evidence beside alerts, never an alert by itself.

CREATE TABLE report (
    report_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL DEFAULT '',            -- which system sent it: 12345, app ...
    reference text,                             -- its number there: the same report sent twice is kept once
    category text NOT NULL CHECK (category IN
        ('gas_smell', 'water_leak', 'no_water', 'flooding', 'manhole', 'collapse', 'odour', 'other')),
    network text,                               -- that the category speaks of; NULL: of none in particular
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 2000),
    place text NOT NULL DEFAULT '',             -- in the citizen's words
    longitude double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    latitude double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    reported_at timestamptz NOT NULL,           -- when the citizen saw it
    received_at timestamptz NOT NULL,
    received_from text NOT NULL,                -- name of the key that sent it
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    outcome text CHECK (outcome IN ('confirmed', 'unfounded', 'duplicate', 'passed_on')),
    note text NOT NULL DEFAULT '',
    closed_at timestamptz,
    closed_by text,
    UNIQUE (source, reference),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL AND outcome IS NOT NULL))
);
CREATE INDEX report_place ON report (latitude, longitude);
CREATE INDEX report_open ON report (report_id) WHERE state = 'open';

CREATE TABLE report_photo (
    photo_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report_id bigint NOT NULL REFERENCES report,
    at timestamptz NOT NULL,
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp')),
    content bytea NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 524288),
    digest bytea NOT NULL,                      -- SHA-256: the same photo sent twice is kept once
    UNIQUE (report_id, digest)
);
CREATE TRIGGER report_photo_append_only BEFORE UPDATE OR DELETE ON report_photo
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Who took a report and what was made of it is noted (0013); a citizen's words and photos stand in the report alone.
CREATE TRIGGER report_audit AFTER INSERT OR UPDATE OR DELETE ON report
    FOR EACH ROW EXECUTE FUNCTION note_change('report_id', 'text');
CREATE TRIGGER report_photo_audit AFTER INSERT ON report_photo
    FOR EACH ROW EXECUTE FUNCTION note_change('photo_id', 'content', 'digest');

-- Which alerts a report lies beside is asked by place.
CREATE INDEX alert_place ON alert (latitude, longitude) WHERE kind = 'risk';

GRANT SELECT, INSERT ON report, report_photo TO lifeline_api;
GRANT UPDATE (state, outcome, note, closed_at, closed_by) ON report TO lifeline_api;
GRANT SELECT ON report TO lifeline_alerts;

---------------------------------------------------------------------------------------------------- dashboards

-- Grafana reads what its dashboards show, and nothing that is secret or speaks of a person: no bytes of quarantine, no endpoints'
-- addresses, no keys, no texts of reports. Its password is set by `lifeline migrate`, never here.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lifeline_grafana') THEN
        BEGIN
            CREATE ROLE lifeline_grafana NOLOGIN;
            ALTER ROLE lifeline_grafana SET default_transaction_read_only = on;
            ALTER ROLE lifeline_grafana SET statement_timeout = '30s';
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this cluster was faster
        END;
    END IF;
END $$;
GRANT SELECT ON asset, asset_risk, device, device_state, sensor, sensor_state, reading, reading_15m, reading_1h, reading_1d, alert,
    alert_history, incident, zone, zone_asset, zone_sensor, ingest_account, retention_account, heartbeat, maintenance_window
    TO lifeline_grafana;
GRANT SELECT (quarantine_id, received_at, reason) ON quarantine TO lifeline_grafana;
GRANT SELECT (delivery_id, outbox_id, level, state, attempts, next_attempt_at, delivered_at) ON delivery TO lifeline_grafana;
GRANT SELECT (outbox_id, event_type, created_at) ON outbox TO lifeline_grafana;
GRANT SELECT (report_id, category, network, longitude, latitude, reported_at, received_at, state, outcome, closed_at)
    ON report TO lifeline_grafana;

-- The whole city: those tables have row policies (0013), and a role without one sees nothing.
DO $$
DECLARE
    held text;
BEGIN
    FOREACH held IN ARRAY ARRAY['asset', 'device', 'sensor', 'zone', 'alert', 'alert_history', 'incident', 'maintenance_window'] LOOP
        EXECUTE format('CREATE POLICY dashboards ON %I FOR SELECT TO lifeline_grafana USING (true)', held);
    END LOOP;
END $$;
