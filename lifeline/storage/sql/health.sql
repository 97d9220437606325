-- How the system is: read by `lifeline status`, `lifeline check` and the API's health page.

-- name: beat
-- One row a process and instance.
INSERT INTO heartbeat (process, instance, at, detail) VALUES (%(process)s, %(instance)s, %(at)s, %(detail)s)
ON CONFLICT (process, instance) DO UPDATE SET at = excluded.at, detail = excluded.detail

-- name: heartbeats
SELECT process, instance, at, detail FROM heartbeat ORDER BY process, instance

-- name: evaluation
-- When detection last looked at the readings, the newest tick of any process of it, and every how many seconds that looks.
SELECT (detail ->> 'ticked_at')::timestamptz AS ticked_at, (detail ->> 'tick_s')::float8
FROM heartbeat WHERE process = 'alerts' AND detail ->> 'ticked_at' IS NOT NULL
ORDER BY ticked_at DESC, instance LIMIT 1

-- name: leave
-- A process that ends takes its sign away, and those of its kind that died before it.
DELETE FROM heartbeat WHERE process = %(process)s AND (instance = %(instance)s OR at < %(dead_before)s)

-- name: database_clock
SELECT clock_timestamp()

-- name: accounts
-- The four counters over every consumer and writer, from transactions that are committed.
SELECT coalesce(sum(received), 0)::bigint, coalesce(sum(stored), 0)::bigint,
       coalesce(sum(duplicate), 0)::bigint, coalesce(sum(quarantined), 0)::bigint
FROM ingest_account

-- name: books
-- Counters and tables in one statement, so in one snapshot: a batch that commits meanwhile is in all of them or in none.
SELECT coalesce(sum(received), 0)::bigint, coalesce(sum(stored), 0)::bigint,
       coalesce(sum(duplicate), 0)::bigint, coalesce(sum(quarantined), 0)::bigint,
       (SELECT count(*) FROM reading), (SELECT count(*) FROM quarantine),
       (SELECT coalesce(sum(removed), 0)::bigint FROM retention_account WHERE what = 'reading'),
       (SELECT coalesce(sum(removed), 0)::bigint FROM retention_account WHERE what = 'quarantine')
FROM ingest_account

-- name: alert_counts
-- Open alerts of each kind and level, and how many of them nobody has acknowledged.
SELECT kind, level, count(*), count(*) FILTER (WHERE state IN ('UNACK', 'RTNUN'))
FROM alert WHERE closed_at IS NULL GROUP BY kind, level ORDER BY kind, level

-- name: quarantine_by_reason
SELECT reason, count(*) FROM quarantine
WHERE received_at >= coalesce(%(since)s, '-infinity'::timestamptz) GROUP BY reason ORDER BY reason

-- name: room
-- The database's folder, where this role may know it, and the bytes up to which its log grows before a checkpoint.
SELECT (SELECT setting FROM pg_settings WHERE name = 'data_directory'), pg_size_bytes(current_setting('max_wal_size'))

-- name: disk_usage
-- Bytes with indexes and TOAST; a hypertable is the sum of its chunks.
SELECT relname, CASE WHEN hypertable_name IS NULL THEN pg_total_relation_size(pg_class.oid)
                     ELSE coalesce(hypertable_size(pg_class.oid::regclass), 0) END AS bytes
FROM pg_class
LEFT JOIN timescaledb_information.hypertables ON hypertable_schema = 'public' AND hypertable_name = relname
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
ORDER BY bytes DESC, relname
