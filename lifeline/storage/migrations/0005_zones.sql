-- Zones: polygons by which people plan; what more there is to know of an asset; who changed the inventory.

---------------------------------------------------------------------------------- what more is known of an asset

ALTER TABLE asset
    ADD COLUMN road_class text CHECK (road_class IN ('trunk', 'main', 'street', 'lane', 'none')), -- of the road above it
    ADD COLUMN street text,                     -- name of the street: works are grouped by it
    ADD COLUMN soil text,
    ADD COLUMN condition smallint CHECK (condition BETWEEN 1 AND 5), -- as inspected: 1 as new, 5 about to fail
    ADD COLUMN in_service boolean NOT NULL DEFAULT true; -- false: taken out; its row stays for the history that names it
ALTER TABLE device ADD COLUMN in_service boolean NOT NULL DEFAULT true;

-- Attributes of the same names become the columns, where they hold what the columns take.
UPDATE asset SET
    road_class = CASE WHEN attributes ->> 'road_class' IN ('trunk', 'main', 'street', 'lane', 'none')
                      THEN attributes ->> 'road_class' END,
    street = nullif(attributes ->> 'street', ''),
    soil = nullif(attributes ->> 'soil', ''),
    condition = CASE WHEN attributes ->> 'condition' ~ '^[1-5]$' THEN (attributes ->> 'condition')::smallint END
WHERE attributes ?| ARRAY['road_class', 'street', 'soil', 'condition'];
UPDATE asset SET attributes = attributes
    - CASE WHEN road_class IS NULL THEN ARRAY[]::text[] ELSE ARRAY['road_class'] END
    - CASE WHEN street IS NULL THEN ARRAY[]::text[] ELSE ARRAY['street'] END
    - CASE WHEN soil IS NULL THEN ARRAY[]::text[] ELSE ARRAY['soil'] END
    - CASE WHEN condition IS NULL THEN ARRAY[]::text[] ELSE ARRAY['condition'] END
WHERE attributes ?| ARRAY['road_class', 'street', 'soil', 'condition'];

--------------------------------------------------------------------------------------------------------- zones

CREATE TABLE zone (
    zone_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    external_id text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('dma', 'catchment', 'district', 'renewal', 'risk_control', 'resilience')),
    network text,                               -- NULL: every network
    name text NOT NULL DEFAULT '',
    geometry jsonb NOT NULL,                    -- GeoJSON Polygon or MultiPolygon, WGS 84, longitude first
    west double precision NOT NULL,
    south double precision NOT NULL,
    east double precision NOT NULL,
    north double precision NOT NULL,
    attributes jsonb NOT NULL DEFAULT '{}',
    source text NOT NULL DEFAULT 'imported',    -- imported, drawn (by a person, through the API), or what suggested it
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suggested', 'rejected')),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX zone_kind ON zone (kind, network);

-- Which assets of its network a zone holds, kept by whoever writes a zone or an asset, in the same transaction.
CREATE TABLE zone_asset (
    zone_id integer NOT NULL REFERENCES zone ON DELETE CASCADE,
    asset_id bigint NOT NULL REFERENCES asset ON DELETE CASCADE,
    share real NOT NULL CHECK (share > 0 AND share <= 1), -- of its length; a point lies in it or not
    PRIMARY KEY (zone_id, asset_id)
);
CREATE INDEX zone_asset_asset ON zone_asset (asset_id);

CREATE TABLE zone_sensor (
    zone_id integer NOT NULL REFERENCES zone ON DELETE CASCADE,
    sensor_id integer NOT NULL REFERENCES sensor ON DELETE CASCADE,
    PRIMARY KEY (zone_id, sensor_id)
);
CREATE INDEX zone_sensor_sensor ON zone_sensor (sensor_id);

-- A flow sensor's part in the balance of a zone: a meter between two zones is -1 in one and 1 in the other.
CREATE TABLE zone_flow (
    zone_id integer NOT NULL REFERENCES zone ON DELETE CASCADE,
    sensor_id integer NOT NULL REFERENCES sensor ON DELETE CASCADE,
    direction smallint NOT NULL CHECK (direction IN (-1, 1)), -- 1 into the zone, -1 out of it
    PRIMARY KEY (zone_id, sensor_id)
);
CREATE INDEX zone_flow_sensor ON zone_flow (sensor_id);

---------------------------------------------------------------------------------------------- models and changes

-- Hydraulic models as they were imported: a link or node NAME of the file is the asset with external_id prefix || NAME.
CREATE TABLE network_model (
    model_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    network text NOT NULL,
    format text NOT NULL CHECK (format IN ('epanet', 'swmm')),
    prefix text NOT NULL DEFAULT '',
    content bytea NOT NULL,                     -- the file's own bytes
    imported_at timestamptz NOT NULL
);

CREATE TABLE inventory_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL CHECK (action IN ('imported', 'created', 'changed', 'retired', 'removed')),
    what text NOT NULL CHECK (what IN ('asset', 'device', 'sensor', 'zone', 'model')),
    external_id text,                           -- NULL: a whole file
    detail jsonb NOT NULL DEFAULT '{}'          -- of a change {"field": [before, after]}; of a file its name and counts
);
CREATE INDEX inventory_history_what ON inventory_history (what, external_id, history_id);
CREATE TRIGGER inventory_history_append_only BEFORE UPDATE OR DELETE ON inventory_history
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

GRANT SELECT ON zone, zone_asset, zone_sensor, zone_flow, network_model TO lifeline_alerts, lifeline_api;
GRANT SELECT ON inventory_history TO lifeline_alerts, lifeline_api;
-- Engineers edit the inventory through the API.
GRANT INSERT, UPDATE, DELETE ON asset, device, sensor, asset_cell, asset_risk, zone, zone_asset, zone_sensor, zone_flow TO lifeline_api;
GRANT INSERT, UPDATE ON network_model TO lifeline_api;
GRANT INSERT ON inventory_history TO lifeline_api;
GRANT SELECT, DELETE ON unknown_device TO lifeline_api;
