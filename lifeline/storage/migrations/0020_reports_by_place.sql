-- Citizens' reports are seen by who has a part of the city too: those of its networks, or of none in particular, that were
-- told from within its zones. A report names no asset, so its place decides.

-- Whether a GeoJSON Polygon or MultiPolygon holds a point: in the outer ring of a part and in none of its holes.
CREATE FUNCTION polygon_holds(geometry jsonb, longitude double precision, latitude double precision) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    WITH part AS (
        SELECT each AS rings FROM jsonb_array_elements(
            CASE geometry ->> 'type' WHEN 'Polygon' THEN jsonb_build_array(geometry -> 'coordinates') ELSE geometry -> 'coordinates' END
        ) AS each
    ), ring AS (
        SELECT part.rings, number, (
            SELECT format('(%s)', string_agg(format('(%s,%s)', corner -> 0, corner -> 1), ',' ORDER BY place))::polygon
            FROM jsonb_array_elements(ring) WITH ORDINALITY AS corners (corner, place)
        ) AS line
        FROM part, jsonb_array_elements(part.rings) WITH ORDINALITY AS rings (ring, number)
    )
    SELECT EXISTS (
        SELECT FROM ring GROUP BY rings
        HAVING bool_and(CASE WHEN number = 1 THEN point(longitude, latitude) <@ line ELSE NOT point(longitude, latitude) <@ line END)
    )
$$;
REVOKE ALL ON FUNCTION polygon_holds(jsonb, double precision, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION polygon_holds(jsonb, double precision, double precision) TO lifeline_api;

ALTER TABLE report ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_photo ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON report TO lifeline_api, lifeline_alerts USING (true) WITH CHECK (true);
CREATE POLICY everything ON report_photo TO lifeline_api USING (true) WITH CHECK (true);
CREATE POLICY dashboards ON report FOR SELECT TO lifeline_grafana USING (true);
CREATE POLICY scope ON report TO lifeline_scoped USING (
    (network IS NULL OR (SELECT scope_networks()) IS NULL OR network = ANY ((SELECT scope_networks())::text[]))
    AND ((SELECT scope_zones()) IS NULL OR EXISTS (
        SELECT FROM zone z WHERE z.zone_id = ANY ((SELECT scope_zones())::integer[])
            AND report.longitude BETWEEN z.west AND z.east AND report.latitude BETWEEN z.south AND z.north
            AND polygon_holds(z.geometry, report.longitude, report.latitude))));
CREATE POLICY scope ON report_photo TO lifeline_scoped
    USING (EXISTS (SELECT FROM report r WHERE r.report_id = report_photo.report_id));
