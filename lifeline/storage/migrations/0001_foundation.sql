-- The foundation. The schema is public: docs/reference/schema.md describes it. Never edit a migration that has landed.
-- PostgreSQL 16+ with TimescaleDB 2.15+, Apache or community edition (what needs the community edition: community.sql).

CREATE EXTENSION IF NOT EXISTS timescaledb;

-- Least privilege: one role a process. Passwords are set by `lifeline migrate`, never here.
DO $$
DECLARE process_role text;
BEGIN
    FOREACH process_role IN ARRAY ARRAY['lifeline_ingest', 'lifeline_alerts', 'lifeline_api'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = process_role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', process_role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this cluster was faster
            END;
        END IF;
    END LOOP;
END $$;

------------------------------------------------------------------------------------------------- what the city has

CREATE TABLE asset (
    asset_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    external_id text NOT NULL UNIQUE,
    network text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('pipe', 'junction', 'valve', 'chamber', 'pump', 'tank', 'regulator', 'outfall')),
    name text NOT NULL DEFAULT '',
    geometry jsonb NOT NULL,                    -- GeoJSON, WGS 84, longitude first
    west double precision NOT NULL,             -- bounding box: the map asks by it
    south double precision NOT NULL,
    east double precision NOT NULL,
    north double precision NOT NULL,
    from_asset bigint REFERENCES asset DEFERRABLE INITIALLY DEFERRED,
    to_asset bigint REFERENCES asset DEFERRABLE INITIALLY DEFERRED,
    material text,
    diameter_mm double precision CHECK (diameter_mm > 0),
    install_year integer CHECK (install_year BETWEEN 1800 AND 2200),
    length_m double precision CHECK (length_m >= 0),
    depth_m double precision,
    customers integer NOT NULL DEFAULT 0 CHECK (customers >= 0),
    critical boolean NOT NULL DEFAULT false,    -- a hospital, school or the like hangs on it
    attributes jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX asset_network_kind ON asset (network, kind);
CREATE INDEX asset_from ON asset (from_asset) WHERE from_asset IS NOT NULL;
CREATE INDEX asset_to ON asset (to_asset) WHERE to_asset IS NOT NULL;

-- Which hexagons (H3) an asset lies in, and with how much of its length.
CREATE TABLE asset_cell (
    asset_id bigint NOT NULL REFERENCES asset ON DELETE CASCADE,
    resolution smallint NOT NULL,
    cell text NOT NULL,
    length_m double precision NOT NULL,
    PRIMARY KEY (asset_id, resolution, cell)
);
CREATE INDEX asset_cell_cell ON asset_cell (cell);

-- Standing risk: from what the asset is, not from what its sensors say.
CREATE TABLE asset_risk (
    asset_id bigint PRIMARY KEY REFERENCES asset ON DELETE CASCADE,
    lof double precision NOT NULL CHECK (lof BETWEEN 1 AND 5),
    cof double precision NOT NULL CHECK (cof BETWEEN 1 AND 5),
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 100),
    parts jsonb NOT NULL,                       -- [{"part": ..., "value": ..., "points": ...}], the points add up to score
    computed_at timestamptz NOT NULL
);

CREATE TABLE device (
    device_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    external_id text NOT NULL UNIQUE,           -- its name in the topic and at the broker
    network text NOT NULL,
    gateway_id integer REFERENCES device,       -- the device behind which it speaks, if any
    name text NOT NULL DEFAULT '',
    longitude double precision,
    latitude double precision
);

CREATE TABLE sensor (
    sensor_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL REFERENCES device,
    channel text NOT NULL,                      -- its name on the wire: quantity or quantity.suffix
    quantity text NOT NULL,                     -- key in the catalogue
    asset_id bigint REFERENCES asset,
    name text NOT NULL DEFAULT '',
    longitude double precision,
    latitude double precision,
    limits jsonb NOT NULL DEFAULT '{}',         -- overrides of the catalogue's limits: {"range": [0, 5], "max_silence_s": 60}
    in_service boolean NOT NULL DEFAULT true,
    UNIQUE (device_id, channel)
);
CREATE INDEX sensor_asset ON sensor (asset_id);

-------------------------------------------------------------------------------------------------- what sensors said

CREATE TABLE reading (
    sensor_id integer NOT NULL,
    ts timestamptz NOT NULL,
    value double precision NOT NULL,
    quality smallint NOT NULL DEFAULT 0,        -- flags: 1 backlog, 2 implausible
    PRIMARY KEY (sensor_id, ts)
);
SELECT create_hypertable('reading', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
-- "Everything since a minute ago" without reading the whole chunk: rows lie in order of arrival, so a few kB of block ranges
-- do (measured at 13,000,000 rows: 0.07 s instead of 0.46 s, and it grows with the window, not with the chunk; COPY pays 10 %).
CREATE INDEX reading_ts ON reading USING brin (ts) WITH (autosummarize = on, pages_per_range = 64);

-- The newest reading of each sensor; written in the transaction of the batch. Fill factor: updates stay on their page.
CREATE TABLE sensor_state (
    sensor_id integer PRIMARY KEY REFERENCES sensor ON DELETE CASCADE,
    ts timestamptz NOT NULL,
    value double precision NOT NULL,
    quality smallint NOT NULL,
    received_at timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE device_state (
    device_id integer PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    status text NOT NULL DEFAULT 'unknown' CHECK (status IN ('online', 'offline', 'unknown')),
    status_at timestamptz,
    detail jsonb,
    last_seen timestamptz,
    last_seq bigint,
    missed bigint NOT NULL DEFAULT 0            -- messages missing from the sequence so far
) WITH (fillfactor = 50);

CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,                     -- the message's own bytes
    reason text NOT NULL CHECK (reason IN ('unparsable', 'unknown_sensor', 'not_finite', 'out_of_range', 'from_the_future', 'too_old')),
    detail text NOT NULL DEFAULT '',
    channel text,                               -- which reading of the message, where the message could be read
    reading_ts timestamptz,
    digest bytea NOT NULL                       -- of topic, payload and reading: a redelivered message is not kept twice
);
CREATE INDEX quarantine_received ON quarantine (received_at);
CREATE INDEX quarantine_digest ON quarantine (digest);

-- Devices that speak and are not in the inventory: `lifeline sensors adopt` takes them in.
CREATE TABLE unknown_device (
    network text NOT NULL,
    device text NOT NULL,
    channels text[] NOT NULL DEFAULT '{}',
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    readings bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (network, device)
);

-- The books: received = stored + duplicate + quarantined, in readings (a message that cannot be read counts as one).
-- One row a writer of a consumer, so that no two writers wait for each other; written in the batch's own transaction.
CREATE TABLE ingest_account (
    consumer text NOT NULL,
    writer smallint NOT NULL,
    received bigint NOT NULL DEFAULT 0,
    stored bigint NOT NULL DEFAULT 0,
    duplicate bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, writer),
    CHECK (received = stored + duplicate + quarantined)
);

-- What a persistent session subscribed to, so that a changed topic list also unsubscribes.
CREATE TABLE ingest_subscription (
    client_id text NOT NULL,
    topic_filter text NOT NULL,
    PRIMARY KEY (client_id, topic_filter)
);

-- What retention has taken away, so that the books still balance afterwards.
CREATE TABLE retention_account (
    what text PRIMARY KEY CHECK (what IN ('reading', 'quarantine')),
    removed bigint NOT NULL DEFAULT 0,
    before timestamptz NOT NULL                 -- nothing older than this is kept
);

---------------------------------------------------------------------------------------------------------- roll-ups

-- A batch notes which 15-minute buckets it touched: sensor_id 0 means every sensor (live data), else one sensor (late data).
-- Append only and without a key: two batches never wait for each other, and a note is visible exactly when its readings are.
CREATE TABLE rollup_note (
    bucket timestamptz NOT NULL CHECK (bucket = date_bin('15 minutes', bucket, '2000-01-01 00:00:00+00')),
    sensor_id integer NOT NULL
);
CREATE INDEX rollup_note_bucket ON rollup_note (bucket);

CREATE TABLE reading_15m (
    sensor_id integer NOT NULL,
    bucket timestamptz NOT NULL,
    n integer NOT NULL,
    minimum double precision NOT NULL,
    maximum double precision NOT NULL,
    mean double precision NOT NULL,
    last double precision NOT NULL,
    PRIMARY KEY (sensor_id, bucket)
);
CREATE TABLE reading_1h (LIKE reading_15m INCLUDING ALL);
CREATE TABLE reading_1d (LIKE reading_15m INCLUDING ALL);
SELECT create_hypertable('reading_15m', by_range('bucket', INTERVAL '7 days'), create_default_indexes => false);
SELECT create_hypertable('reading_1h', by_range('bucket', INTERVAL '30 days'), create_default_indexes => false);
SELECT create_hypertable('reading_1d', by_range('bucket', INTERVAL '365 days'), create_default_indexes => false);

------------------------------------------------------------------------------------------------------------ alerts

CREATE TABLE alert (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_kind text NOT NULL CHECK (subject_kind IN ('sensor', 'device', 'asset', 'zone')),
    subject_id bigint NOT NULL,
    rule text NOT NULL,
    rule_version text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('risk', 'maintenance')),
    network text NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 1 AND 4),
    state text NOT NULL CHECK (state IN ('NORM', 'UNACK', 'ACKED', 'RTNUN', 'SHLVD', 'DSUPR', 'OOSRV')),
    sensor_id integer REFERENCES sensor,
    device_id integer REFERENCES device,
    asset_id bigint REFERENCES asset,
    longitude double precision,
    latitude double precision,
    evidence jsonb NOT NULL DEFAULT '{}',
    first_seen timestamptz NOT NULL,
    raised_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    returned_at timestamptz,
    closed_at timestamptz,
    version integer NOT NULL DEFAULT 1,         -- compare-and-set
    CHECK ((state = 'NORM') = (closed_at IS NOT NULL))
);
-- One open alert per (subject, rule), held here and not by care.
CREATE UNIQUE INDEX alert_open ON alert (subject_kind, subject_id, rule) WHERE closed_at IS NULL;
CREATE INDEX alert_raised ON alert (raised_at DESC, alert_id DESC);
CREATE INDEX alert_asset ON alert (asset_id) WHERE closed_at IS NULL;

CREATE TABLE alert_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alert,
    at timestamptz NOT NULL,
    actor text NOT NULL,                        -- 'detector', or the name of the key that did it
    action text NOT NULL,                       -- raised, escalated, deescalated, acknowledged, returned, closed, ...
    from_state text,
    to_state text NOT NULL,
    from_level smallint,
    to_level smallint NOT NULL,
    note text NOT NULL DEFAULT '',
    evidence jsonb
);
CREATE INDEX alert_history_alert ON alert_history (alert_id, history_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'history is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER alert_history_append_only BEFORE UPDATE OR DELETE ON alert_history
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

------------------------------------------------------------------------------------------------------ notification

CREATE TABLE endpoint (
    endpoint_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    url text NOT NULL,
    secret text NOT NULL,                       -- whsec_...; the API may write and not read it
    networks text[],                            -- NULL: all
    worst_level smallint NOT NULL DEFAULT 4,    -- sent when level <= this number
    kinds text[] NOT NULL DEFAULT '{risk,maintenance}',
    enabled boolean NOT NULL DEFAULT true,
    disabled_reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL
);

-- Written in the transaction that changed the alert; fanned out to endpoints afterwards.
CREATE TABLE outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL UNIQUE,            -- webhook-id, the same in every attempt
    event_type text NOT NULL,                   -- alert.raised, ...
    alert_id bigint REFERENCES alert,
    created_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    fanned_out boolean NOT NULL DEFAULT false
);
CREATE INDEX outbox_waiting ON outbox (outbox_id) WHERE NOT fanned_out;
CREATE INDEX outbox_alert ON outbox (alert_id);

-- What a message about an alert says. Built in the transaction of the change, so that it tells the alert as it was then.
CREATE FUNCTION alert_message(a alert, event_type text, at timestamptz, actor text, note text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('type', event_type, 'timestamp', at, 'data', jsonb_build_object(
        'alert_id', a.alert_id, 'version', a.version, 'network', a.network, 'kind', a.kind, 'rule', a.rule,
        'rule_version', a.rule_version, 'level', (ARRAY['red', 'orange', 'yellow', 'blue'])[a.level], 'state', a.state,
        'first_seen', a.first_seen, 'raised_at', a.raised_at, 'actor', actor, 'note', note,
        'title', a.evidence -> 'title', 'advice', a.evidence -> 'advice', 'evidence', a.evidence - 'title' - 'advice',
        'where', (SELECT jsonb_build_object(
            'asset', t.external_id, 'asset_name', t.name, 'device', d.external_id, 'device_name', d.name,
            'channel', s.channel, 'sensor_name', s.name, 'longitude', a.longitude, 'latitude', a.latitude)
            FROM (VALUES (1)) one LEFT JOIN asset t ON t.asset_id = a.asset_id
            LEFT JOIN device d ON d.device_id = a.device_id LEFT JOIN sensor s ON s.sensor_id = a.sensor_id)))
$$;

CREATE TABLE delivery (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outbox_id bigint NOT NULL REFERENCES outbox,
    endpoint_id integer NOT NULL REFERENCES endpoint,
    level smallint NOT NULL,                    -- of the alert: worst first, and red in quick succession
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,                -- of one that is claimed: when the claim ends
    claimed boolean NOT NULL DEFAULT false,     -- a process is at it
    delivered_at timestamptz,
    UNIQUE (outbox_id, endpoint_id)
);
CREATE INDEX delivery_due ON delivery (endpoint_id, level, next_attempt_at) WHERE state = 'pending';

CREATE TABLE delivery_attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery_id bigint NOT NULL REFERENCES delivery,
    at timestamptz NOT NULL,
    status_code integer,
    error text NOT NULL DEFAULT '',
    duration_ms integer NOT NULL
);
CREATE INDEX delivery_attempt_delivery ON delivery_attempt (delivery_id);

------------------------------------------------------------------------------------------------------ who and how well

CREATE TABLE api_key (
    key_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    digest bytea NOT NULL UNIQUE,               -- SHA-256 of a 256-bit random key: no salt or stretching is needed for those
    role text NOT NULL CHECK (role IN ('viewer', 'field', 'operator', 'engineer', 'admin')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);

-- One row a process and instance: what `lifeline status` and the page's health banner read.
CREATE TABLE heartbeat (
    process text NOT NULL,
    instance text NOT NULL,
    at timestamptz NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (process, instance)
);

--------------------------------------------------------------------------------------------------------- retention

-- Dropping chunks takes the table's owner. `alerts` is not the owner, and may do just this: SECURITY DEFINER with a fixed
-- search path. A chunk goes when all of it is older than `before` and no roll-up of it is waiting; it is counted under
-- its lock, so that the books stay exact. Gives the number of readings dropped.
CREATE FUNCTION drop_old_readings(before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    horizon timestamptz := least(before, (SELECT min(bucket) FROM rollup_note));
    chunk regclass;
    counted bigint;
    dropped bigint := 0;
BEGIN
    FOR chunk IN SELECT show_chunks('reading', older_than => horizon) LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', chunk);
        EXECUTE format('SELECT count(*) FROM %s', chunk) INTO counted;
        dropped := dropped + counted;
    END LOOP;
    PERFORM drop_chunks('reading', older_than => horizon);
    INSERT INTO retention_account AS account (what, removed, before) VALUES ('reading', dropped, horizon)
    ON CONFLICT (what) DO UPDATE SET removed = account.removed + excluded.removed, before = greatest(account.before, excluded.before);
    RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION drop_old_readings(timestamptz) FROM PUBLIC;

------------------------------------------------------------------------------------------------------------- rights

GRANT EXECUTE ON FUNCTION drop_old_readings(timestamptz) TO lifeline_alerts;
GRANT INSERT, UPDATE ON retention_account TO lifeline_alerts;

GRANT USAGE ON SCHEMA public TO lifeline_ingest, lifeline_alerts, lifeline_api;

GRANT SELECT ON device, sensor TO lifeline_ingest;
GRANT SELECT, INSERT ON reading, quarantine TO lifeline_ingest;
GRANT SELECT, INSERT, UPDATE ON sensor_state, device_state, unknown_device, ingest_account, heartbeat TO lifeline_ingest;
GRANT SELECT, INSERT, DELETE ON ingest_subscription TO lifeline_ingest;
GRANT INSERT ON rollup_note TO lifeline_ingest;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO lifeline_alerts;
REVOKE ALL ON api_key FROM lifeline_alerts;
GRANT INSERT, UPDATE ON alert, outbox, delivery, heartbeat, reading_15m, reading_1h, reading_1d, asset_risk TO lifeline_alerts;
GRANT INSERT ON alert_history, delivery_attempt TO lifeline_alerts;
GRANT UPDATE (enabled, disabled_reason) ON endpoint TO lifeline_alerts;
GRANT DELETE ON rollup_note, quarantine, reading_15m, reading_1h, reading_1d TO lifeline_alerts;

GRANT SELECT ON asset, asset_cell, asset_risk, device, sensor, reading, sensor_state, device_state, quarantine,
    unknown_device, ingest_account, retention_account, reading_15m, reading_1h, reading_1d, alert, alert_history, outbox, delivery,
    delivery_attempt, heartbeat, api_key TO lifeline_api;
GRANT SELECT (endpoint_id, name, url, networks, worst_level, kinds, enabled, disabled_reason, created_at) ON endpoint TO lifeline_api;
GRANT UPDATE ON alert TO lifeline_api;
GRANT INSERT ON alert_history, outbox, heartbeat TO lifeline_api;
GRANT UPDATE ON heartbeat TO lifeline_api;
GRANT UPDATE (last_used_at) ON api_key TO lifeline_api;
