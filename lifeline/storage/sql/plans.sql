-- Renewal plans, and the pipes that they are made over.

-- name: pipes
-- Pipes in service with their standing risk, of one network and in one zone where these are named, by external id.
SELECT a.external_id, a.network, a.kind, a.geometry, a.name, f.external_id, t.external_id, a.material, a.diameter_mm,
    a.install_year, a.length_m, a.depth_m, a.customers, a.critical, a.attributes, a.road_class, a.street, a.soil, a.condition,
    a.in_service, r.lof, r.cof, r.rate
FROM asset a
LEFT JOIN asset f ON f.asset_id = a.from_asset
LEFT JOIN asset t ON t.asset_id = a.to_asset
LEFT JOIN asset_risk r ON r.asset_id = a.asset_id
WHERE a.kind = 'pipe' AND a.in_service AND (%(network)s::text IS NULL OR a.network = %(network)s)
  AND (%(zone)s::text IS NULL OR EXISTS (
    SELECT FROM zone_asset m JOIN zone z USING (zone_id)
    WHERE z.external_id = %(zone)s AND m.asset_id = a.asset_id AND m.share >= 0.5))
ORDER BY a.external_id

-- name: served
-- Customers where service is delivered: at junctions, chambers and valves.
SELECT external_id, customers FROM asset
WHERE kind IN ('junction', 'chamber', 'valve') AND in_service AND customers > 0
  AND (%(network)s::text IS NULL OR network = %(network)s)

-- name: zone_exists
SELECT 1 FROM zone WHERE external_id = %(zone)s

-- name: forget
DELETE FROM renewal_plan WHERE job_id = %(job)s

-- name: store
INSERT INTO renewal_plan (job_id, name, parameters, summary, created_by, created_at)
VALUES (%(job)s, %(name)s, %(parameters)s, %(summary)s, %(actor)s, %(now)s)
RETURNING plan_id

-- name: store_work
INSERT INTO renewal_work (plan_id, work, year, cost, gain, detail, assets, geometry)
VALUES (%(plan)s, %(work)s, %(year)s, %(cost)s, %(gain)s, %(detail)s, %(assets)s, %(geometry)s)

-- name: store_document
INSERT INTO renewal_document (plan_id, format, content) VALUES (%(plan)s, %(format)s, %(content)s)

-- name: list
SELECT plan_id, job_id, name, parameters, summary, created_by, created_at FROM renewal_plan
WHERE %(before)s::bigint IS NULL OR plan_id < %(before)s
ORDER BY plan_id DESC LIMIT %(limit)s

-- name: get
SELECT plan_id, job_id, name, parameters, summary, created_by, created_at FROM renewal_plan WHERE plan_id = %(plan)s

-- name: works
SELECT work, year, cost, gain, detail, assets, geometry FROM renewal_work WHERE plan_id = %(plan)s ORDER BY work

-- name: document
SELECT content FROM renewal_document WHERE plan_id = %(plan)s AND format = %(format)s
