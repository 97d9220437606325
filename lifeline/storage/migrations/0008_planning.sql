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

GRANT USAGE ON SCHEMA public TO lifeline_planning;
-- It reads what the city has and what happened, and no key, secret or address.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO lifeline_planning;
REVOKE ALL ON api_key, endpoint, endpoint_secret, outbox, delivery, delivery_attempt, field_link_use FROM lifeline_planning;
GRANT INSERT, UPDATE ON heartbeat, asset_risk TO lifeline_planning;
GRANT INSERT, UPDATE ON job, asset_criticality, deterioration, stress_test TO lifeline_planning;

GRANT SELECT ON job TO lifeline_api, lifeline_alerts;
GRANT INSERT (kind, parameters, requested_by, requested_at) ON job TO lifeline_api;
GRANT UPDATE (state, cancelled_by, finished_at, message) ON job TO lifeline_api;
