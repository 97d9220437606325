-- On whose behalf a connection works: who acts (for the audit), and the part of the city that he sees (policies).

-- name: act
-- What follows on this connection is done by somebody: JSON with name, kind, address, request and at.
SELECT set_config('lifeline.actor', %(actor)s, false);

-- name: limit
-- Narrow the connection to a scope. Names of zones that are not there are no zone: who has only such sees nothing.
SELECT set_config('lifeline.networks', coalesce(%(networks)s::text[]::text, '*'), false),
    set_config('lifeline.zones', CASE WHEN %(zones)s::text[] IS NULL THEN '*' ELSE
        coalesce((SELECT array_agg(zone_id)::text FROM zone WHERE external_id = ANY (%(zones)s::text[])), '{}') END, false);

-- name: scoped_role
-- From here on the policies hold.
SET ROLE lifeline_scoped;

-- name: own_role
RESET ROLE;

-- name: nobody
-- The connection works for nobody in particular again.
SELECT set_config('lifeline.actor', '', false), set_config('lifeline.networks', '', false), set_config('lifeline.zones', '', false);
