-- What is normal, learned from history by `alerts`: kept by version, never edited; and a person's changes to rules.

-- One part of the city (sensors that explain each other, or are learned together) in one version. The newest counts.
CREATE TABLE baseline (
    baseline_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    part text NOT NULL,
    version text NOT NULL,                      -- hash of the content: the same history teaches the same version
    learned_at timestamptz NOT NULL,
    first timestamptz NOT NULL,                 -- the history that taught it
    last timestamptz NOT NULL,
    sensors integer NOT NULL,
    ready integer NOT NULL,                     -- how many of them have history enough
    content bytea NOT NULL                      -- a numpy archive of plain arrays
);
CREATE INDEX baseline_part ON baseline (part, learned_at DESC);

-- What each sensor's newest baseline knows: a sensor that is not ready gets the rules that need none.
CREATE TABLE baseline_sensor (
    sensor_id integer PRIMARY KEY REFERENCES sensor ON DELETE CASCADE,
    part text NOT NULL,
    version text NOT NULL,
    learned_at timestamptz NOT NULL,
    days double precision NOT NULL,             -- days with readings that taught
    ready boolean NOT NULL
);

-- Limits of a rule for one place, in force at the next tick. The narrowest scope wins: sensor, asset, asset kind, network.
CREATE TABLE rule_override (
    override_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('network', 'asset_kind', 'asset', 'sensor')),
    target text NOT NULL,                       -- network, asset kind, the asset's external_id, or "device/channel"
    limits jsonb,                               -- {"red": 2.5} in the rule's unit; NULL switches the rule off there
    note text NOT NULL DEFAULT '',
    created_by text NOT NULL DEFAULT current_user,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (rule, scope, target)
);

GRANT SELECT ON baseline, baseline_sensor, rule_override TO lifeline_alerts, lifeline_api;
GRANT INSERT, DELETE ON baseline TO lifeline_alerts;
GRANT INSERT, UPDATE, DELETE ON baseline_sensor TO lifeline_alerts;
GRANT INSERT, UPDATE, DELETE ON rule_override TO lifeline_api;
