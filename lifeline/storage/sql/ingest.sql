-- Everything that ingest says to the database.

-- name: sensors
-- What a topic and a channel stand for, with the newest reading; ordered, so that a batch sorted by place is sorted by sensor.
SELECT s.sensor_id, s.device_id, d.network, d.external_id, s.channel, s.limits,
       coalesce((extract(epoch FROM t.ts) * 1000000)::bigint, -9223372036854775808) AS ts, coalesce(t.value, 0) AS value
FROM sensor s
JOIN device d USING (device_id)
LEFT JOIN sensor_state t USING (sensor_id)
ORDER BY s.sensor_id

-- name: devices
-- Every device, those without a sensor too: a gateway has a status.
SELECT device_id, network, external_id FROM device

-- name: inventory_version
-- Changes whenever a row of the inventory was added, changed or removed.
SELECT (SELECT count(*) FROM sensor), (SELECT count(*) FROM device),
       (SELECT max(xmin::text::bigint) FROM sensor), (SELECT max(xmin::text::bigint) FROM device)

-- name: copy_readings
-- The fast way: refuses the whole batch when one reading is there already.
COPY reading (sensor_id, ts, value, quality) FROM STDIN (FORMAT BINARY)

-- name: days_of
-- Days (UTC, since 1970) of which a sensor has so many readings as a whole day has, between two moments.
SELECT floor(extract(epoch FROM ts) / 86400)::bigint FROM reading
WHERE sensor_id = %(sensor)s AND ts >= to_timestamp(%(first)s) AND ts < to_timestamp(%(last)s)
GROUP BY 1 HAVING count(*) >= %(whole)s

-- name: insert_readings
-- The careful way: keeps what is there, adds the rest; the count of rows is what was new.
INSERT INTO reading (sensor_id, ts, value, quality)
SELECT * FROM unnest(%(sensor_id)s, %(ts)s, %(value)s, %(quality)s)
ON CONFLICT (sensor_id, ts) DO NOTHING

-- name: update_states
-- Newest reading of each sensor. Ordered by sensor as in every batch, so that two writers wait and never deadlock.
INSERT INTO sensor_state (sensor_id, ts, value, quality, received_at)
SELECT u.*, %(received_at)s FROM unnest(%(sensor_id)s, %(ts)s, %(value)s, %(quality)s) u
ON CONFLICT (sensor_id) DO UPDATE
SET ts = EXCLUDED.ts, value = EXCLUDED.value, quality = EXCLUDED.quality, received_at = EXCLUDED.received_at
WHERE EXCLUDED.ts > sensor_state.ts

-- name: quarantine
-- What may be there already is looked up by its digest; anything else is kept as it came.
INSERT INTO quarantine (received_at, topic, payload, reason, detail, channel, reading_ts, digest)
SELECT %(received_at)s, u.topic, u.payload, u.reason, u.detail, u.channel, u.reading_ts, u.digest
FROM unnest(%(topic)s::text[], %(payload)s::bytea[], %(reason)s::text[], %(detail)s::text[], %(channel)s::text[],
            %(reading_ts)s::timestamptz[], %(digest)s::bytea[], %(look_up)s::boolean[])
     AS u (topic, payload, reason, detail, channel, reading_ts, digest, look_up)
WHERE NOT u.look_up OR NOT EXISTS (SELECT FROM quarantine q WHERE q.digest = u.digest)
RETURNING reason

-- name: add_devices
-- Every device has a state, so that the batch only updates. In order, so that two writers wait and never deadlock.
INSERT INTO device_state (device_id) SELECT device_id FROM device ORDER BY device_id ON CONFLICT DO NOTHING

-- name: lock_devices
-- In order, so that two writers wait and never deadlock.
SELECT count(*) FROM (
    SELECT FROM device_state WHERE device_id = ANY (%(device_id)s) ORDER BY device_id FOR UPDATE) locked

-- name: see_devices
-- Last seen, and gaps in the sequence: how far the highest number moved, less the messages that came. The sum is the same in
-- whatever order the batches of several consumers commit. A number far off the last one, or a start at 0 or 1, is a device
-- that began anew; of redelivered messages those up to the last number were counted before.
UPDATE device_state d
SET last_seen = greatest(d.last_seen, %(seen)s),
    last_seq = CASE WHEN u.n = 0 THEN d.last_seq WHEN c.anew THEN u.highest ELSE greatest(d.last_seq, u.highest) END,
    missed = CASE WHEN u.n = 0 OR (%(redelivered)s AND u.lowest <= d.last_seq) THEN d.missed
                  WHEN d.last_seq IS NULL OR c.anew THEN d.missed + greatest(u.highest - u.lowest + 1 - u.n, 0)
                  ELSE greatest(d.missed + greatest(u.highest - d.last_seq, 0) - u.n, 0) END
FROM unnest(%(device_id)s, %(lowest)s, %(highest)s, %(n)s) AS u (device_id, lowest, highest, n)
JOIN device_state o USING (device_id)
CROSS JOIN LATERAL (SELECT abs(u.highest - o.last_seq) > 100000
                           OR (u.highest < o.last_seq AND u.lowest <= 1 AND NOT %(redelivered)s) AS anew) c
WHERE d.device_id = u.device_id

-- name: set_statuses
-- A status that was heard before the present one changes nothing: two writers may commit in another order.
UPDATE device_state d
SET status = u.status, status_at = %(heard)s, detail = u.detail::jsonb,
    last_seen = CASE WHEN u.status = 'online' AND NOT u.retained THEN greatest(d.last_seen, %(heard)s) ELSE d.last_seen END
FROM unnest(%(device_id)s::integer[], %(status)s::text[], %(detail)s::text[], %(retained)s::boolean[])
     AS u (device_id, status, detail, retained)
WHERE d.device_id = u.device_id AND (d.status_at IS NULL OR d.status_at <= %(heard)s)
  AND NOT (u.retained AND d.status = u.status)

-- name: note_unknown
-- Devices and channels that the inventory lacks, for `lifeline sensors adopt`; 200 channels of a device at most.
INSERT INTO unknown_device AS k (network, device, channels, first_seen, last_seen, readings)
SELECT u.network, u.device, array_agg(DISTINCT u.channel), %(seen)s, %(seen)s, sum(u.n)
FROM unnest(%(network)s::text[], %(device)s::text[], %(channel)s::text[], %(n)s::bigint[]) AS u (network, device, channel, n)
GROUP BY u.network, u.device
ORDER BY u.network, u.device
ON CONFLICT (network, device) DO UPDATE
SET channels = (SELECT array_agg(c ORDER BY c)
                FROM (SELECT DISTINCT c FROM unnest(k.channels || EXCLUDED.channels) c ORDER BY c LIMIT 200) kept),
    last_seen = EXCLUDED.last_seen, readings = k.readings + EXCLUDED.readings

-- name: note_rollups
-- See the table: sensor 0 stands for every sensor.
INSERT INTO rollup_note (bucket, sensor_id) SELECT * FROM unnest(%(bucket)s, %(sensor_id)s)

-- name: keep_account
-- The books, in the transaction of the readings that they count.
INSERT INTO ingest_account AS a (consumer, writer, received, stored, duplicate, quarantined, updated_at)
VALUES (%(consumer)s, %(writer)s, %(received)s, %(stored)s, %(duplicate)s, %(quarantined)s, %(now)s)
ON CONFLICT (consumer, writer) DO UPDATE
SET received = a.received + EXCLUDED.received, stored = a.stored + EXCLUDED.stored,
    duplicate = a.duplicate + EXCLUDED.duplicate, quarantined = a.quarantined + EXCLUDED.quarantined,
    updated_at = EXCLUDED.updated_at

-- name: announce
-- Who waits for readings looks now.
SELECT pg_notify('lifeline_changed', '{"what": "reading"}')

-- name: subscriptions
-- What this client's session subscribed to before.
SELECT topic_filter FROM ingest_subscription WHERE client_id = %(client_id)s

-- name: add_subscriptions
INSERT INTO ingest_subscription (client_id, topic_filter)
SELECT %(client_id)s, unnest(%(filters)s::text[]) ON CONFLICT DO NOTHING

-- name: drop_subscriptions
DELETE FROM ingest_subscription WHERE client_id = %(client_id)s AND topic_filter = ANY (%(filters)s)
