-- Jobs: long computations, worked by `lifeline.planning` one process at a time each.

-- name: submit
INSERT INTO job (kind, parameters, requested_by, requested_at)
VALUES (%(kind)s, %(parameters)s, %(actor)s, %(now)s)
RETURNING job_id

-- name: submit_nightly
-- Once a night, however many processes ask.
INSERT INTO job (kind, requested_by, requested_at, night) VALUES (%(kind)s, 'schedule', %(now)s, %(night)s)
ON CONFLICT (kind, night) DO NOTHING
RETURNING job_id

-- name: get
SELECT job_id, kind, parameters, state, progress, message, result, requested_by, requested_at, started_at, finished_at, attempt
FROM job WHERE job_id = %(job)s

-- name: list
SELECT job_id, kind, parameters, state, progress, message, result, requested_by, requested_at, started_at, finished_at, attempt
FROM job
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(before)s::bigint IS NULL OR job_id < %(before)s)
ORDER BY job_id DESC LIMIT %(limit)s

-- name: take
-- The next job of those that this process can work: what people wait for before what the clock asked for.
UPDATE job SET state = 'running', started_at = %(now)s, alive_at = %(now)s, instance = %(instance)s, attempt = attempt + 1,
    progress = 0, message = ''
WHERE job_id = (
    SELECT job_id FROM job WHERE state = 'queued' AND kind = ANY (%(kinds)s)
    ORDER BY night IS NOT NULL, job_id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING job_id, kind, parameters, attempt

-- name: keep_alive
-- Gives what this process holds, and whether somebody wants it to end.
UPDATE job SET alive_at = %(now)s WHERE state = 'running' AND instance = %(instance)s
RETURNING job_id, attempt, cancelled_by IS NOT NULL

-- name: tell_progress
UPDATE job SET progress = %(share)s, message = %(message)s
WHERE job_id = %(job)s AND attempt = %(attempt)s AND state = 'running'

-- name: finish
UPDATE job SET state = %(state)s, finished_at = %(now)s, message = %(message)s, result = %(result)s,
    progress = CASE %(state)s WHEN 'done' THEN 1 ELSE progress END
WHERE job_id = %(job)s AND attempt = %(attempt)s AND state = 'running'
RETURNING job_id

-- name: cancel_queued
UPDATE job SET state = 'cancelled', cancelled_by = %(actor)s, finished_at = %(now)s, message = 'cancelled before it began'
WHERE job_id = %(job)s AND state = 'queued'
RETURNING job_id

-- name: ask_to_end
UPDATE job SET cancelled_by = %(actor)s WHERE job_id = %(job)s AND state = 'running'
RETURNING job_id

-- name: release
-- Back into the queue, as if it had not been begun: its process stops in good order.
UPDATE job SET state = 'queued', attempt = attempt - 1, instance = NULL, alive_at = NULL, started_at = NULL, progress = 0,
    message = 'its process was stopped; it begins again'
WHERE job_id = %(job)s AND attempt = %(attempt)s AND state = 'running'
RETURNING job_id

-- name: abandoned
-- Jobs whose process has given no sign of life for long.
SELECT job_id, attempt FROM job WHERE state = 'running' AND alive_at < %(before)s ORDER BY job_id FOR UPDATE SKIP LOCKED

-- name: give_back
-- Begun too often already: failed. Else into the queue again.
UPDATE job SET
    state = CASE WHEN cancelled_by IS NOT NULL THEN 'cancelled' WHEN attempt >= %(most)s THEN 'failed' ELSE 'queued' END,
    finished_at = CASE WHEN cancelled_by IS NOT NULL OR attempt >= %(most)s THEN %(now)s END,
    message = %(message)s, instance = NULL, alive_at = NULL
WHERE job_id = %(job)s AND attempt = %(attempt)s AND state = 'running'
RETURNING state

-- name: begin
-- From now on this session works that job.
SELECT set_config('lifeline.job', %(job)s::text, false)

-- name: current
-- The job that this session works.
SELECT nullif(current_setting('lifeline.job', true), '')::bigint

-- name: announce
SELECT pg_notify('lifeline_changed', json_build_object('what', 'job', 'job', %(job)s::bigint)::text)

-- name: counts
SELECT state, count(*) FROM job WHERE state IN ('queued', 'running') GROUP BY state
