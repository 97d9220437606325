-- The risk map through time: what it said is stored when it changes, word for word, so that the map of any past moment is the
-- one that was served then. Written by the one `api` process that holds the recorder's lock; append-only for it.

-- A drawing that was served from then on. Also once a minute where nothing changed: a moment without a frame shortly before it
-- was drawn by nobody. A keyframe has every cell and pipe, the others what changed since the frame before.
CREATE TABLE map_frame (
    at timestamptz PRIMARY KEY,
    keyframe boolean NOT NULL,
    cells integer NOT NULL,                     -- rows of map_cell and of map_segment that came with it
    segments integer NOT NULL,
    data_as_of timestamptz                      -- the newest reading of any sensor then
);
CREATE INDEX map_frame_keyframe ON map_frame (at DESC) WHERE keyframe;

CREATE TABLE map_cell (
    at timestamptz NOT NULL,
    resolution smallint NOT NULL,
    cell text NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 5), -- 5: unknown; 0: the cell is gone from the map
    score double precision NOT NULL,
    said text NOT NULL,                         -- its properties as they were served, JSON without the opening brace
    PRIMARY KEY (at, resolution, cell)
);
SELECT create_hypertable('map_cell', by_range('at', INTERVAL '1 day'), create_default_indexes => false);

CREATE TABLE map_segment (
    at timestamptz NOT NULL,
    asset_id bigint NOT NULL,                   -- no foreign key: a pipe that is taken out stays in the past
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 5),
    score double precision NOT NULL,
    said text NOT NULL,
    PRIMARY KEY (at, asset_id)
);
SELECT create_hypertable('map_segment', by_range('at', INTERVAL '1 day'), create_default_indexes => false);

-- How a pipe was drawn since then: its place, name and network.
CREATE TABLE map_asset (
    asset_id bigint NOT NULL,
    at timestamptz NOT NULL,
    head text NOT NULL,                         -- GeoJSON up to what the map says of it
    west double precision NOT NULL,
    south double precision NOT NULL,
    east double precision NOT NULL,
    north double precision NOT NULL,
    PRIMARY KEY (asset_id, at)
);

-- Dropping chunks takes the table's owner; `api` may do just this. What is needed to read the first moment that is kept
-- (its keyframe) stays. Gives the number of frames that went.
CREATE FUNCTION drop_old_map(before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    horizon timestamptz := (SELECT max(f.at) FROM map_frame f WHERE f.keyframe AND f.at <= before);
    dropped bigint;
BEGIN
    IF horizon IS NULL THEN RETURN 0; END IF;
    PERFORM drop_chunks('map_cell', older_than => horizon);
    PERFORM drop_chunks('map_segment', older_than => horizon);
    DELETE FROM map_asset a WHERE a.at < horizon
        AND EXISTS (SELECT FROM map_asset b WHERE b.asset_id = a.asset_id AND b.at > a.at AND b.at <= horizon);
    DELETE FROM map_frame f WHERE f.at < horizon;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION drop_old_map(timestamptz) FROM PUBLIC;

-- The map asks for alerts that closed a while ago: they fade.
CREATE INDEX alert_closed ON alert (closed_at) WHERE closed_at IS NOT NULL AND kind = 'risk';

GRANT EXECUTE ON FUNCTION drop_old_map(timestamptz) TO lifeline_api;
GRANT SELECT, INSERT ON map_frame, map_cell, map_segment, map_asset TO lifeline_api;
