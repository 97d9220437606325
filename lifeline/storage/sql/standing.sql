-- Standing risk: what it is computed from, and where it is kept.

-- name: columns
-- Assets in service as columns for the risk model, of the networks given (NULL: all), in order of their id.
SELECT asset_id, network, kind, material, install_year, diameter_mm, length_m, customers, critical,
       coalesce(from_asset, 0), coalesce(to_asset, 0), soil, road_class, condition, loss, customers_lost, critical_lost,
       CASE WHEN jsonb_typeof(attributes -> 'demand_lps') = 'number' THEN (attributes ->> 'demand_lps')::double precision END,
       CASE WHEN jsonb_typeof(attributes -> 'slope') = 'number' THEN (attributes ->> 'slope')::double precision END,
       CASE WHEN jsonb_typeof(attributes -> 'area_ha') = 'number' THEN (attributes ->> 'area_ha')::double precision END
FROM asset LEFT JOIN asset_criticality USING (asset_id)
WHERE in_service AND (%(networks)s::text[] IS NULL OR network = ANY (%(networks)s))
ORDER BY asset_id

-- name: facilities_near
-- Critical facilities near each asset.
SELECT asset_id, kind, distance_m::float8 FROM asset_facility JOIN facility USING (facility_id) ORDER BY asset_id

-- name: breaks_on_record
-- Own breaks of each asset since a time.
SELECT asset_id, count(*) FROM asset_break WHERE at <= %(now)s GROUP BY asset_id

-- name: record_begins
-- Since when each network's breaks are on record.
SELECT network, min(at) FROM asset_break JOIN asset USING (asset_id) WHERE at <= %(now)s GROUP BY network

-- name: recent_breaks
-- Breaks since a time with the geometry of what broke.
SELECT asset_id, network, at, geometry::text, west, south, east, north
FROM asset_break JOIN asset USING (asset_id) WHERE at > %(since)s AND at <= %(now)s
ORDER BY break_id

-- name: near
-- Assets of a network whose bounding box meets a box.
SELECT asset_id, geometry::text FROM asset
WHERE network = %(network)s AND east >= %(west)s AND west <= %(east)s AND north >= %(south)s AND south <= %(north)s

-- name: stage
CREATE TEMPORARY TABLE staged_standing (LIKE asset_risk) ON COMMIT DROP

-- name: copy
COPY staged_standing (asset_id, lof, cof, score, parts, computed_at, rate, probability) FROM STDIN

-- name: store
-- Rows that are as they were are not touched; gives those that are new or have changed.
INSERT INTO asset_risk AS known (asset_id, lof, cof, score, parts, computed_at, rate, probability)
SELECT asset_id, lof, cof, score, parts, computed_at, rate, probability FROM staged_standing ORDER BY asset_id
ON CONFLICT (asset_id) DO UPDATE SET
    lof = excluded.lof, cof = excluded.cof, score = excluded.score, parts = excluded.parts,
    computed_at = excluded.computed_at, rate = excluded.rate, probability = excluded.probability
WHERE (known.parts, known.rate) IS DISTINCT FROM (excluded.parts, excluded.rate)

-- name: unstage
DROP TABLE staged_standing

-- name: announce
SELECT pg_notify('lifeline_changed', '{"what": "risk"}')

-- name: deterioration
-- The newest calibration.
SELECT version, content FROM deterioration ORDER BY version DESC LIMIT 1

-- name: store_deterioration
INSERT INTO deterioration (fitted_at, fitted_by, breaks, content)
VALUES (%(fitted_at)s, %(fitted_by)s, %(breaks)s, %(content)s) RETURNING version

-- name: stage_criticality
CREATE TEMPORARY TABLE staged_criticality (LIKE asset_criticality) ON COMMIT DROP

-- name: copy_criticality
COPY staged_criticality (asset_id, loss, customers_lost, critical_lost, method, computed_at) FROM STDIN

-- name: store_criticality
-- A model knows more than the graph: what it computed stays until it computes again.
INSERT INTO asset_criticality AS known SELECT * FROM staged_criticality ORDER BY asset_id
ON CONFLICT (asset_id) DO UPDATE SET
    loss = excluded.loss, customers_lost = excluded.customers_lost, critical_lost = excluded.critical_lost,
    method = excluded.method, computed_at = excluded.computed_at
WHERE known.method = 'graph' OR excluded.method = 'hydraulic'

-- name: unstage_criticality
DROP TABLE staged_criticality

-- name: elements
-- The assets in service of a network with the names that they have in the model they came from.
SELECT asset_id, external_id, kind, customers, critical, coalesce(attributes ->> 'element', external_id),
       length_m, diameter_mm, material, from_asset, to_asset
FROM asset WHERE network = %(network)s AND in_service ORDER BY asset_id

-- name: gas_figures
-- What assets say of gas pressure and demand, in order of their id.
SELECT CASE WHEN jsonb_typeof(attributes -> 'pressure_bar') = 'number' THEN (attributes ->> 'pressure_bar')::double precision END,
       CASE WHEN jsonb_typeof(attributes -> 'peak_demand_m3h') = 'number' THEN (attributes ->> 'peak_demand_m3h')::double precision END
FROM asset WHERE asset_id = ANY (%(assets)s) ORDER BY asset_id

-- name: stage_breaks
CREATE TEMPORARY TABLE staged_break (
    position integer NOT NULL,
    asset text NOT NULL,
    at timestamptz NOT NULL,
    cause text NOT NULL,
    external_id text NOT NULL
) ON COMMIT DROP

-- name: copy_breaks
COPY staged_break FROM STDIN

-- name: broken_unknown
-- Assets that a break names and the database lacks.
SELECT position, asset FROM staged_break
WHERE NOT EXISTS (SELECT FROM asset WHERE external_id = staged_break.asset) ORDER BY position

-- name: store_breaks
-- Whether each break that is new or has changed is new.
INSERT INTO asset_break AS known (asset_id, at, cause, external_id)
SELECT asset_id, at, cause, staged_break.external_id
FROM staged_break JOIN asset ON asset.external_id = staged_break.asset ORDER BY position
ON CONFLICT (external_id) DO UPDATE SET asset_id = excluded.asset_id, at = excluded.at, cause = excluded.cause
WHERE (known.asset_id, known.at, known.cause) IS DISTINCT FROM (excluded.asset_id, excluded.at, excluded.cause)
RETURNING xmax = 0 AS is_new

-- name: unstage_breaks
DROP TABLE staged_break

-- name: break_years
-- Every break on record: its asset, and how many years ago it was.
SELECT asset_id, extract(epoch FROM %(now)s - at)::double precision / 31557600 FROM asset_break
WHERE at <= %(now)s ORDER BY at, break_id

-- name: model
-- The model of a network that was imported last.
SELECT name, content FROM network_model WHERE network = %(network)s AND format = %(format)s
ORDER BY imported_at DESC, model_id DESC LIMIT 1

-- name: model_file
-- The model of a network that was imported last, whatever its format.
SELECT name, format, content FROM network_model WHERE network = %(network)s
ORDER BY imported_at DESC, model_id DESC LIMIT 1

-- name: networks
SELECT DISTINCT network FROM asset WHERE in_service ORDER BY network

-- name: store_stress_test
INSERT INTO stress_test (kind, network, method, parameters, result, computed_at, requested_by)
VALUES (%(kind)s, %(network)s, %(method)s, %(parameters)s, %(result)s, %(computed_at)s, %(requested_by)s)
RETURNING stress_test_id

-- name: stress_tests
-- The newest first.
SELECT stress_test_id, kind, network, method, parameters, result, computed_at, requested_by FROM stress_test
WHERE (%(number)s::bigint IS NULL OR stress_test_id = %(number)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (%(network)s::text IS NULL OR network = %(network)s)
  AND (%(before)s::bigint IS NULL OR stress_test_id < %(before)s)
ORDER BY stress_test_id DESC LIMIT %(limit)s

-- name: criticality
-- The assets whose loss costs most.
SELECT external_id, name, network, kind, loss, customers_lost, critical_lost, method, criticality.computed_at
FROM asset_criticality AS criticality JOIN asset USING (asset_id)
WHERE in_service AND (%(network)s::text IS NULL OR network = %(network)s)
ORDER BY customers_lost DESC, loss DESC, asset_id LIMIT %(limit)s

-- name: classes
-- LoF and CoF of every asset of a network, for the 5x5 matrix.
SELECT lof, cof FROM asset_risk JOIN asset USING (asset_id)
WHERE %(network)s::text IS NULL OR network = %(network)s
