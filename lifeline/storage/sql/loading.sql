-- name: add_devices
-- Devices of a load, all of one network.
INSERT INTO device (external_id, network) SELECT u, %(network)s FROM unnest(%(names)s::text[]) u ORDER BY u

-- name: add_sensors
-- A sensor for each channel of each device.
INSERT INTO sensor (device_id, channel, quantity)
SELECT d.device_id, c, %(quantity)s FROM device d CROSS JOIN unnest(%(channels)s::text[]) c ORDER BY d.device_id, c

-- name: stored
-- How many readings there are, and the sum of their values in thousandths.
SELECT count(*), coalesce(sum(round(value * 1000)::bigint), 0)::bigint FROM reading

-- name: newest
-- When the newest reading of a sensor was taken.
SELECT s.ts FROM sensor_state s JOIN sensor USING (sensor_id) JOIN device d USING (device_id)
WHERE d.external_id = %(device)s LIMIT 1

-- name: books
-- What ingest says that it has received, stored, found twice and put into quarantine.
SELECT coalesce(sum(received), 0)::bigint, coalesce(sum(stored), 0)::bigint, coalesce(sum(duplicate), 0)::bigint,
    coalesce(sum(quarantined), 0)::bigint FROM ingest_account
