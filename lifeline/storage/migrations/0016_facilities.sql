-- Critical facilities: what a failure nearby would hit. Points that belong to no network.

CREATE TABLE facility (
    facility_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    external_id text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('hospital', 'school', 'care_home', 'subway', 'fire_station', 'police', 'power',
                                       'government', 'data_centre', 'station', 'market', 'other')),
    name text NOT NULL DEFAULT '',
    longitude double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180), -- WGS 84
    latitude double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    attributes jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Which facilities are near an asset, kept by whoever writes an asset or a facility, in the same transaction.
CREATE TABLE asset_facility (
    asset_id bigint NOT NULL REFERENCES asset ON DELETE CASCADE,
    facility_id integer NOT NULL REFERENCES facility ON DELETE CASCADE,
    distance_m real NOT NULL CHECK (distance_m >= 0),
    PRIMARY KEY (asset_id, facility_id)
);
CREATE INDEX asset_facility_facility ON asset_facility (facility_id);

ALTER TABLE inventory_history
    DROP CONSTRAINT inventory_history_what_check,
    ADD CONSTRAINT inventory_history_what_check CHECK (what IN ('asset', 'device', 'sensor', 'zone', 'model', 'facility'));

GRANT SELECT ON facility, asset_facility TO lifeline_alerts, lifeline_api, lifeline_planning;
-- Engineers edit the inventory through the API.
GRANT INSERT, UPDATE, DELETE ON facility, asset_facility TO lifeline_api;
