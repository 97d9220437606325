-- Retention of raw readings and of quarantine. Alerts, their history, deliveries and roll-ups are kept.

-- name: drop_old_readings
-- The migration defines it: `alerts` owns no table and may drop old chunks through this function alone.
SELECT drop_old_readings(%(before)s)

-- name: delete_old_logins
-- Wrong passwords count for an hour (users.sql, `failed`); a place at which nobody logged in for a season is strange again.
WITH places AS (DELETE FROM login_place WHERE last_at < %(now)s - interval '90 days')
DELETE FROM login_failure WHERE last_at < %(now)s - interval '1 hour'

-- name: delete_old_quarantine
-- A batch, and its entry in the books, in one statement.
WITH gone AS (
    DELETE FROM quarantine WHERE quarantine_id IN (
        SELECT quarantine_id FROM quarantine WHERE received_at < %(before)s
        ORDER BY received_at LIMIT %(batch)s)
    RETURNING 1
), counted AS (
    SELECT count(*) AS n FROM gone
), booked AS (
    INSERT INTO retention_account AS account (what, removed, before)
    SELECT 'quarantine', n, %(before)s FROM counted WHERE n > 0
    ON CONFLICT (what) DO UPDATE
    SET removed = account.removed + excluded.removed, before = greatest(account.before, excluded.before)
)
SELECT n FROM counted
