-- Drills (情景模拟演练). A drill runs in a sandbox: a database, a broker and processes of its own
-- (docs/decisions/0011-drills.md). What stands here is only the record of it, and no reading, alert, label or delivery.

-- A drill that comes back every month.
CREATE TABLE drill_schedule (
    schedule_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan jsonb NOT NULL,                        -- as in drill
    day smallint NOT NULL CHECK (day BETWEEN 1 AND 28),
    at time NOT NULL,                           -- the city's local time
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_by text                               -- who ended it; NULL: it holds
);

CREATE TABLE drill (
    drill_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_id bigint REFERENCES drill_schedule,
    plan jsonb NOT NULL,                        -- scenario, seed, speed, lasts_s, keep, teams with their tasks
    state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'running', 'done', 'failed', 'cancelled')),
    message text NOT NULL DEFAULT '',           -- what it is at; of a failed one: why
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    starts_at timestamptz NOT NULL,
    began_at timestamptz,
    ended_at timestamptz,
    stop_by text,                               -- who wants it to end before its time
    runner text,                                -- process and folder that runs it
    alive_at timestamptz,                       -- last sign of life of the runner
    url text NOT NULL DEFAULT '',               -- the exercise's own page, while it runs
    sandbox text NOT NULL DEFAULT '',           -- its database, while there is one
    report jsonb,                               -- the after-action report
    UNIQUE (schedule_id, starts_at),
    CHECK ((state IN ('done', 'failed', 'cancelled')) = (ended_at IS NOT NULL)),
    CHECK (state <> 'running' OR runner IS NOT NULL AND alive_at IS NOT NULL AND began_at IS NOT NULL)
);
-- One at a time, held by the index: people can only be at one exercise.
CREATE UNIQUE INDEX drill_running ON drill ((true)) WHERE state = 'running';
CREATE INDEX drill_planned ON drill (starts_at) WHERE state = 'planned';

-- What happened to a drill, and who did it. Append-only.
CREATE TABLE drill_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    drill_id bigint NOT NULL REFERENCES drill,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL CHECK (action IN ('planned', 'began', 'opened', 'stop_asked', 'done', 'failed', 'cancelled')),
    note text NOT NULL DEFAULT ''
);
CREATE INDEX drill_event_drill ON drill_event (drill_id, event_id);
CREATE TRIGGER drill_event_append_only BEFORE UPDATE OR DELETE ON drill_event FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE drill_document (
    drill_id bigint NOT NULL REFERENCES drill,
    format text NOT NULL CHECK (format IN ('pdf')),
    content bytea NOT NULL,
    PRIMARY KEY (drill_id, format)
);

-- The scenarios that the simulators beside this system can play, for people who choose one.
CREATE TABLE drill_scenario (
    name text PRIMARY KEY,
    title text NOT NULL
);

-- What people ask for is noted (0013); a runner's signs of life are no person's.
CREATE TRIGGER drill_audit AFTER INSERT OR UPDATE OF state, stop_by ON drill
    FOR EACH ROW EXECUTE FUNCTION note_change('drill_id', 'report');
CREATE TRIGGER drill_schedule_audit AFTER INSERT OR UPDATE OR DELETE ON drill_schedule
    FOR EACH ROW EXECUTE FUNCTION note_change('schedule_id');

-- The API plans, reads and asks to stop; who runs a drill is the owner.
GRANT SELECT ON drill_schedule, drill, drill_event, drill_document, drill_scenario TO lifeline_api;
GRANT INSERT (plan, requested_by, requested_at, starts_at) ON drill TO lifeline_api;
GRANT UPDATE (state, message, ended_at, stop_by) ON drill TO lifeline_api;
GRANT INSERT (plan, day, at, created_by, created_at), UPDATE (ended_by) ON drill_schedule TO lifeline_api;
GRANT INSERT ON drill_event TO lifeline_api;
