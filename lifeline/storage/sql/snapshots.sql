-- The risk map through time. Append-only: a frame, and what changed with it, in one transaction.

-- name: lock
-- Writers wait for each other: a frame is the difference to the one before it.
SELECT pg_advisory_xact_lock(%(key)s);

-- name: last
-- The newest frame.
SELECT max(at) FROM map_frame;

-- name: last_keyframe
SELECT max(at) FROM map_frame WHERE keyframe;

-- name: add_frame
INSERT INTO map_frame (at, keyframe, cells, segments, data_as_of)
VALUES (%(at)s, %(keyframe)s, %(cells)s, %(segments)s, to_timestamp(%(data_as_of)s));

-- name: copy_cells
COPY map_cell (at, resolution, cell, level, score, said) FROM STDIN;

-- name: copy_segments
COPY map_segment (at, asset_id, level, score, said) FROM STDIN;

-- name: copy_assets
COPY map_asset (asset_id, at, head, west, south, east, north) FROM STDIN;

-- name: frame_at
-- The frame that was served at a moment, and the keyframe before it.
SELECT f.at, f.data_as_of, (SELECT max(k.at) FROM map_frame k WHERE k.keyframe AND k.at <= f.at)
FROM map_frame f WHERE f.at <= %(at)s ORDER BY f.at DESC LIMIT 1;

-- name: span
-- The first and the last moment that can be asked for.
SELECT min(at), max(at) FROM map_frame;

-- name: cells_at
-- What each cell said last, from a keyframe on up to a moment; level 0: it was gone.
SELECT DISTINCT ON (cell) cell, level, score, said FROM map_cell
WHERE resolution = %(resolution)s AND at >= %(keyframe)s AND at <= %(at)s
ORDER BY cell, at DESC;

-- name: segments_at
SELECT DISTINCT ON (asset_id) asset_id, level, score, said FROM map_segment
WHERE at >= %(keyframe)s AND at <= %(at)s
ORDER BY asset_id, at DESC;

-- name: assets_at
-- How each pipe was drawn at a moment, those of a box where one is given.
SELECT asset_id, head FROM (
    SELECT DISTINCT ON (asset_id) asset_id, head, west, south, east, north FROM map_asset
    WHERE at <= %(at)s ORDER BY asset_id, at DESC
) a
WHERE %(west)s::float8 IS NULL
    OR (east >= %(west)s AND west <= %(east)s AND north >= %(south)s AND south <= %(north)s);

-- name: cell_changes
-- What cells said anew in a period, oldest first.
SELECT at, cell, level, score FROM map_cell
WHERE resolution = %(resolution)s AND at > %(since)s AND at <= %(until)s
ORDER BY at, cell LIMIT %(limit)s;

-- name: segment_changes
-- What pipes said anew in a period, oldest first.
SELECT at, asset_id, level, score FROM map_segment
WHERE at > %(since)s AND at <= %(until)s
ORDER BY at, asset_id LIMIT %(limit)s;

-- name: segment_names
-- The city's own ids of pipes as they were drawn last, of those that were removed too: a head lacks its last property.
SELECT DISTINCT ON (asset_id) asset_id, (head || '"_": 0}}')::jsonb #>> '{properties,id}' FROM map_asset
WHERE asset_id = ANY (%(assets)s) ORDER BY asset_id, at DESC;

-- name: frames
-- When frames were written in a period, oldest first.
SELECT at FROM map_frame WHERE at > %(since)s AND at <= %(until)s ORDER BY at;

-- name: drop_old
SELECT drop_old_map(%(before)s);
