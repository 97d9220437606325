-- What is usual for a sensor at an hour of the day.

-- name: hours
-- By hour of the city's day: the 5th percentile of the hours' lowest, their median mean, the 95th percentile of their highest.
SELECT extract(hour FROM bucket AT TIME ZONE %(zone)s)::int AS hour,
    percentile_cont(0.05) WITHIN GROUP (ORDER BY minimum), percentile_cont(0.5) WITHIN GROUP (ORDER BY mean),
    percentile_cont(0.95) WITHIN GROUP (ORDER BY maximum), count(*)
FROM reading_1h
WHERE sensor_id = %(sensor_id)s AND bucket >= %(start)s AND bucket < %(end)s
GROUP BY 1 ORDER BY 1;
