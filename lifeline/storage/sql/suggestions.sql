-- Zones that were suggested: what they are found from, and what people made of them.

-- name: hot_cells
-- Each hexagon of a resolution by the standing risk in it: the highest score, the mean by length, metres of pipe, and
-- the street (else the name) of the longest piece of pipe.
SELECT c.cell, max(r.score), coalesce(sum(r.score * c.length_m) / nullif(sum(c.length_m), 0), avg(r.score)), sum(c.length_m),
    coalesce((array_agg(coalesce(a.street, a.name) ORDER BY c.length_m DESC NULLS LAST, a.external_id)
              FILTER (WHERE coalesce(a.street, a.name) <> ''))[1], '')
FROM asset_cell c JOIN asset a USING (asset_id) JOIN asset_risk r USING (asset_id)
WHERE c.resolution = %(resolution)s AND a.in_service AND (%(network)s::text IS NULL OR a.network = %(network)s)
GROUP BY c.cell ORDER BY c.cell;

-- name: nodes
-- Assets as ways go through them.
SELECT asset_id, external_id, coalesce(nullif(name, ''), street, ''), network, kind, critical, coalesce(length_m, 0),
    array_remove(ARRAY[from_asset, to_asset], NULL), geometry::text
FROM asset WHERE in_service AND (%(network)s::text IS NULL OR network = %(network)s) ORDER BY asset_id;

-- name: decided
-- Which of some zones somebody has decided about already: accepted, rejected, or drawn by hand.
SELECT external_id FROM zone WHERE external_id = ANY (%(names)s::text[]) AND status <> 'suggested';

-- name: withdraw
-- Suggestions of a kind that are not made any more.
DELETE FROM zone WHERE status = 'suggested' AND source = %(source)s AND external_id <> ALL (%(names)s::text[]);

-- name: lock
-- A suggestion that waits, held until the transaction ends.
SELECT status FROM zone WHERE external_id = %(name)s FOR UPDATE;

-- name: note
INSERT INTO inventory_history (at, actor, action, what, external_id, detail)
VALUES (%(now)s, %(actor)s, 'changed', 'zone', %(name)s, %(detail)s);
