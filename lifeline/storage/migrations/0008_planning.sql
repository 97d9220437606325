-- Jobs, and the renewal plans that they make. Jobs are worked by the process `lifeline.planning`, which has a role of its own:
-- long computations must neither delay alerts nor hold the API's connections (docs/decisions/0006-planning-process.md).

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lifeline_planning') THEN
        CREATE ROLE lifeline_planning NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this cluster was faster
END $$;

CREATE TABLE job (
    job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,                         -- lifeline/planning/registry.py
    parameters jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    progress real NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    message text NOT NULL DEFAULT '',           -- what it is at; of a failed one: why
    result jsonb,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    night date,                                 -- of a nightly job: two processes put it into the queue once
    cancelled_by text,                          -- who wants it to end; it is `cancelled` when it has
    attempt smallint NOT NULL DEFAULT 0,        -- times that it was begun
    instance text,                              -- process that works it
    alive_at timestamptz,                       -- last sign of life of that process for this job
    UNIQUE (kind, night),
    CHECK ((state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'running' OR instance IS NOT NULL AND alive_at IS NOT NULL AND started_at IS NOT NULL)
);
CREATE INDEX job_open ON job (state, job_id) WHERE state IN ('queued', 'running');
CREATE INDEX job_kind ON job (kind, job_id DESC);

-- A renewal plan: what was asked, and the figures beside those of the plain lists for the same money.
CREATE TABLE renewal_plan (
    plan_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint UNIQUE REFERENCES job,        -- a job that is begun again replaces what it had written
    name text NOT NULL DEFAULT '',
    parameters jsonb NOT NULL,
    summary jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE renewal_work (
    plan_id bigint NOT NULL REFERENCES renewal_plan ON DELETE CASCADE,
    work integer NOT NULL,                      -- number in the plan: by year, then by gain per cost
    year integer NOT NULL,
    cost double precision NOT NULL,
    gain double precision NOT NULL,             -- expected cost of failures removed over the horizon, discounted
    detail jsonb NOT NULL,                      -- networks, street, length_m, failures_avoided, sure, ...
    assets text[] NOT NULL,                     -- external ids of its pipes
    geometry jsonb NOT NULL,                    -- MultiLineString
    PRIMARY KEY (plan_id, work)
);
CREATE INDEX renewal_work_assets ON renewal_work USING gin (assets);

CREATE TABLE renewal_document (
    plan_id bigint NOT NULL REFERENCES renewal_plan ON DELETE CASCADE,
    format text NOT NULL CHECK (format IN ('pdf')),
    content bytea NOT NULL,
    PRIMARY KEY (plan_id, format)
);

GRANT USAGE ON SCHEMA public TO lifeline_planning;
-- It reads what the city has and what happened, and no key, secret or address.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO lifeline_planning;
REVOKE ALL ON api_key, endpoint, endpoint_secret, outbox, delivery, delivery_attempt, field_link_use FROM lifeline_planning;
GRANT INSERT, UPDATE ON heartbeat, asset_risk TO lifeline_planning;
GRANT INSERT, UPDATE ON job, asset_criticality, deterioration, stress_test TO lifeline_planning;

GRANT SELECT ON job TO lifeline_api, lifeline_alerts;
GRANT INSERT (kind, parameters, requested_by, requested_at) ON job TO lifeline_api;
GRANT UPDATE (state, cancelled_by, finished_at, message) ON job TO lifeline_api;

GRANT SELECT, INSERT, DELETE ON renewal_plan, renewal_work, renewal_document TO lifeline_planning;
GRANT SELECT ON renewal_plan, renewal_work, renewal_document TO lifeline_api;
