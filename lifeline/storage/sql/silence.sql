-- Sensors that say nothing.

-- name: silent
-- A page of sensors in service that were not heard within their longest silence: their own, else their quantity's.
SELECT located.* FROM (
    SELECT s.sensor_id, d.external_id AS device, d.network, s.channel, s.quantity, s.name, a.external_id AS asset,
        a.name AS asset_name,
        coalesce(s.longitude, (a.west + a.east) / 2, d.longitude) AS longitude,
        coalesce(s.latitude, (a.south + a.north) / 2, d.latitude) AS latitude,
        s.in_service, (s.limits->>'max_silence_s')::float8 AS max_silence_s, n.ts, n.value, n.quality
    FROM sensor s
    JOIN device d USING (device_id)
    LEFT JOIN asset a ON a.asset_id = s.asset_id
    LEFT JOIN sensor_state n ON n.sensor_id = s.sensor_id
) AS located
LEFT JOIN unnest(%(quantities)s::text[], %(longest_s)s::float8[]) AS usual (quantity, longest_s) USING (quantity)
WHERE sensor_id > %(after)s AND in_service
    AND (%(network)s::text IS NULL OR network = %(network)s)
    AND (ts IS NULL OR ts < %(now)s - make_interval(secs => coalesce(max_silence_s, longest_s, 0)))
ORDER BY sensor_id LIMIT %(limit)s;
