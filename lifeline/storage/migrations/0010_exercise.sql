-- Truth of scenarios: what a simulated city really did, written by the simulators, judged by `lifeline score`.

CREATE TABLE truth (
    truth_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL,                     -- scenario, cycle and number in its file: demo-2-1
    began_at timestamptz NOT NULL,              -- the same scenario may be played again
    ended_at timestamptz NOT NULL,              -- when its cause ends; what it did may last longer
    kind text NOT NULL,                         -- docs/reference/scenarios.md
    nature text NOT NULL CHECK (nature IN ('physical', 'device', 'fault', 'tampering')),
    network text NOT NULL DEFAULT '',
    asset text,                                 -- external id
    sensor text,                                -- device/channel of a sick or tampered sensor
    devices text[] NOT NULL DEFAULT '{}',
    longitude double precision,
    latitude double precision,
    visible_from timestamptz,                   -- NULL: no sensor has seen it (yet)
    visible_at text,                            -- device/channel
    caused_by text,                             -- event_id
    harmless boolean NOT NULL DEFAULT false,    -- who raises a risk alarm because of it is wrong
    scenario text NOT NULL,
    seed bigint NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}',
    written_at timestamptz NOT NULL,
    CHECK (began_at < ended_at),
    UNIQUE (event_id, began_at)
);
CREATE INDEX truth_began ON truth (began_at);
GRANT SELECT ON truth TO lifeline_alerts, lifeline_api;
