-- Standing risk: break records, what a loss would cost, fitted deterioration, stress tests.

-- What failed when, from the utility's own records. A break that is imported twice is one break.
CREATE TABLE asset_break (
    break_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_id bigint NOT NULL REFERENCES asset ON DELETE CASCADE,
    at timestamptz NOT NULL,
    cause text NOT NULL DEFAULT '',
    external_id text NOT NULL UNIQUE            -- the utility's number, or asset and time
);
CREATE INDEX asset_break_asset ON asset_break (asset_id);
CREATE INDEX asset_break_at ON asset_break (at);

-- What is lost while an asset is out of service; the newest computation.
CREATE TABLE asset_criticality (
    asset_id bigint PRIMARY KEY REFERENCES asset ON DELETE CASCADE,
    loss double precision NOT NULL CHECK (loss BETWEEN 0 AND 1), -- share of demand (hydraulic) or of customers (graph)
    customers_lost integer NOT NULL CHECK (customers_lost >= 0),
    critical_lost integer NOT NULL DEFAULT 0 CHECK (critical_lost >= 0), -- critical facilities among them
    method text NOT NULL CHECK (method IN ('hydraulic', 'graph')),
    computed_at timestamptz NOT NULL
);

-- Rates of deterioration fitted to the break records. The newest version counts; none is edited.
CREATE TABLE deterioration (
    version integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fitted_at timestamptz NOT NULL,
    fitted_by text NOT NULL,
    breaks integer NOT NULL,                    -- how many records it stands on
    content jsonb NOT NULL                      -- by material class: both forms, goodness of fit, which was chosen
);

-- How long the network has been on record, and what failed, goes into standing risk: keep what it was computed with.
ALTER TABLE asset_risk
    ADD COLUMN rate double precision,           -- failures per km and year now (per item and year for what has no length)
    ADD COLUMN probability double precision CHECK (probability BETWEEN 0 AND 1); -- of a failure within a year

CREATE TABLE stress_test (
    stress_test_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('storm', 'loss', 'earthquake')),
    network text NOT NULL,
    method text NOT NULL CHECK (method IN ('hydraulic', 'graph')),
    parameters jsonb NOT NULL,
    result jsonb NOT NULL,
    computed_at timestamptz NOT NULL,
    requested_by text NOT NULL DEFAULT ''
);
CREATE INDEX stress_test_computed ON stress_test (computed_at DESC);

GRANT SELECT ON asset_break, asset_criticality, deterioration, stress_test TO lifeline_alerts, lifeline_api;
-- An edit of the inventory through the API brings what hangs on each asset up to date.
GRANT INSERT, UPDATE, DELETE ON asset_criticality TO lifeline_api;
