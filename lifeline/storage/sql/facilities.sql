-- Critical facilities and what lies near them. Written by `lifeline import` and by the API for engineers.

-- name: stage_facilities
CREATE TEMPORARY TABLE staged_facility (
    position integer NOT NULL,
    external_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    longitude double precision NOT NULL,
    latitude double precision NOT NULL,
    attributes jsonb NOT NULL
) ON COMMIT DROP

-- name: copy_facilities
COPY staged_facility FROM STDIN

-- name: store_facilities
-- Number of each facility that is new or has changed, and whether it is new; rows that are as they were are not touched.
INSERT INTO facility (external_id, kind, name, longitude, latitude, attributes, updated_at)
SELECT external_id, kind, name, longitude, latitude, attributes, %(now)s FROM staged_facility ORDER BY position
ON CONFLICT (external_id) DO UPDATE SET
    kind = excluded.kind, name = excluded.name, longitude = excluded.longitude, latitude = excluded.latitude,
    attributes = excluded.attributes, updated_at = excluded.updated_at
WHERE (facility.kind, facility.name, facility.longitude, facility.latitude, facility.attributes) IS DISTINCT FROM
      (excluded.kind, excluded.name, excluded.longitude, excluded.latitude, excluded.attributes)
RETURNING facility_id, xmax = 0 AS is_new

-- name: unstage_facilities
DROP TABLE staged_facility

-- name: places_of_facilities
-- Every facility, or those that are named.
SELECT facility_id, longitude, latitude FROM facility
WHERE %(facilities)s::integer[] IS NULL OR facility_id = ANY (%(facilities)s) ORDER BY facility_id

-- name: shapes_in_box
-- Assets in service in a box, or those of them that are named.
SELECT asset_id, geometry::text FROM asset
WHERE in_service AND (%(assets)s::bigint[] IS NULL OR asset_id = ANY (%(assets)s))
    AND east >= %(west)s AND west <= %(east)s AND north >= %(south)s AND south <= %(north)s
ORDER BY asset_id

-- name: forget_near
-- Gives the assets that were near.
DELETE FROM asset_facility WHERE facility_id = ANY (%(facilities)s) OR asset_id = ANY (%(assets)s) RETURNING asset_id

-- name: copy_near
COPY asset_facility (asset_id, facility_id, distance_m) FROM STDIN

-- name: facilities
-- A page of facilities in order of their id, with how many assets are near each.
SELECT facility_id, external_id, kind, name, longitude, latitude, attributes, updated_at,
    (SELECT count(*) FROM asset_facility WHERE asset_facility.facility_id = facility.facility_id)
FROM facility
WHERE facility_id > %(after)s
    AND (%(external_id)s::text IS NULL OR external_id = %(external_id)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(west)s::float8 IS NULL
        OR (longitude BETWEEN %(west)s AND %(east)s AND latitude BETWEEN %(south)s AND %(north)s))
ORDER BY facility_id LIMIT %(limit)s

-- name: near_asset
-- What is near an asset, the nearest first.
SELECT facility.external_id, facility.kind, facility.name, distance_m::float8
FROM asset_facility JOIN facility USING (facility_id) JOIN asset USING (asset_id)
WHERE asset.external_id = %(asset)s ORDER BY distance_m, facility.external_id

-- name: number
SELECT facility_id FROM facility WHERE external_id = %(name)s

-- name: remove_facility
DELETE FROM facility WHERE facility_id = %(id)s

-- name: announce
SELECT pg_notify('lifeline_changed', '{"what": "inventory"}')
