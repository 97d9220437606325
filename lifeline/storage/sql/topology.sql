-- What lies up- and downstream of an asset. UNION drops what was reached before, so a ring ends by itself, and LIMIT ends
-- the walk early. Rows are numbered as they are reached, since a join may shuffle them afterwards.

-- name: start
SELECT asset_id, network FROM asset WHERE external_id = %(name)s

-- name: downstream
-- By the direction of from and to: a node leads to the pipes that come from it, a pipe to what it ends at.
WITH RECURSIVE reach (asset_id) AS (
    SELECT %(id)s::bigint
    UNION
    SELECT next.asset_id FROM reach JOIN asset AS here USING (asset_id)
    JOIN asset AS next ON next.from_asset = here.asset_id OR next.asset_id = here.to_asset
)
SELECT external_id, kind, in_service
FROM (SELECT asset_id, row_number() OVER () AS place FROM reach LIMIT %(limit)s) AS reached JOIN asset USING (asset_id)
WHERE asset_id <> %(id)s
ORDER BY place

-- name: upstream
WITH RECURSIVE reach (asset_id) AS (
    SELECT %(id)s::bigint
    UNION
    SELECT next.asset_id FROM reach JOIN asset AS here USING (asset_id)
    JOIN asset AS next ON next.to_asset = here.asset_id OR next.asset_id = here.from_asset
)
SELECT external_id, kind, in_service
FROM (SELECT asset_id, row_number() OVER () AS place FROM reach LIMIT %(limit)s) AS reached JOIN asset USING (asset_id)
WHERE asset_id <> %(id)s
ORDER BY place

-- name: feeding
-- In a network under pressure water or gas comes whichever way is open: what is reached both ways, not past a source.
WITH RECURSIVE reach (asset_id) AS (
    SELECT %(id)s::bigint
    UNION
    SELECT next.asset_id FROM reach JOIN asset AS here USING (asset_id)
    JOIN asset AS next ON next.from_asset = here.asset_id OR next.to_asset = here.asset_id
        OR next.asset_id IN (here.from_asset, here.to_asset)
    WHERE next.in_service AND (here.asset_id = %(id)s OR here.kind <> ALL (%(sources)s::text[]))
)
SELECT external_id, kind, in_service
FROM (SELECT asset_id, row_number() OVER () AS place FROM reach LIMIT %(limit)s) AS reached JOIN asset USING (asset_id)
WHERE asset_id <> %(id)s
ORDER BY place

-- name: fed_otherwise
-- What the sources reach while this asset is shut, of a network; both ways, as pressure does.
WITH RECURSIVE fed (asset_id) AS (
    SELECT asset_id FROM asset
    WHERE network = %(network)s AND kind = ANY (%(sources)s::text[]) AND in_service AND asset_id <> %(id)s
    UNION
    SELECT next.asset_id FROM fed JOIN asset AS here USING (asset_id)
    JOIN asset AS next ON next.from_asset = here.asset_id OR next.to_asset = here.asset_id
        OR next.asset_id IN (here.from_asset, here.to_asset)
    WHERE next.in_service AND next.asset_id <> %(id)s
)
SELECT external_id FROM fed JOIN asset USING (asset_id)
