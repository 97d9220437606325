-- The record of drills. The drill itself happens in a database of its own (sandbox.sql).

-- name: plan
INSERT INTO drill (plan, requested_by, requested_at, starts_at)
VALUES (%(plan)s, %(actor)s, %(now)s, %(starts_at)s) RETURNING drill_id

-- name: plan_scheduled
-- A month's drill of a schedule; nothing where it is planned already.
INSERT INTO drill (schedule_id, plan, requested_by, requested_at, starts_at)
SELECT schedule_id, plan, created_by, %(now)s, %(starts_at)s FROM drill_schedule WHERE schedule_id = %(schedule)s AND ended_by IS NULL
ON CONFLICT (schedule_id, starts_at) DO NOTHING RETURNING drill_id

-- name: note
INSERT INTO drill_event (drill_id, at, actor, action, note) VALUES (%(drill)s, %(now)s, %(actor)s, %(action)s, %(note)s)

-- name: get
SELECT drill_id, schedule_id, plan, state, message, requested_by, requested_at, starts_at, began_at, ended_at, stop_by, runner,
    alive_at, url, sandbox, report
FROM drill WHERE drill_id = %(drill)s

-- name: list
-- The newest first, without their reports.
SELECT drill_id, schedule_id, plan, state, message, requested_by, requested_at, starts_at, began_at, ended_at, stop_by, runner,
    alive_at, url, sandbox, NULL
FROM drill WHERE %(before)s::bigint IS NULL OR drill_id < %(before)s
ORDER BY drill_id DESC LIMIT %(limit)s

-- name: events
SELECT at, actor, action, note FROM drill_event WHERE drill_id = %(drill)s ORDER BY event_id

-- name: due
-- What was to begin by now; a drill that nobody ran for an hour is none any more: people have gone home.
SELECT drill_id FROM drill WHERE state = 'planned' AND starts_at <= %(now)s AND starts_at > %(oldest)s
    AND NOT EXISTS (SELECT FROM drill WHERE state = 'running')
ORDER BY starts_at, drill_id LIMIT 1

-- name: overslept
SELECT drill_id FROM drill WHERE state = 'planned' AND starts_at <= %(oldest)s

-- name: take
UPDATE drill SET state = 'running', began_at = %(now)s, alive_at = %(now)s, runner = %(runner)s, message = %(message)s
WHERE drill_id = %(drill)s AND state = 'planned' RETURNING drill_id

-- name: running
SELECT drill_id, runner, alive_at, sandbox FROM drill WHERE state = 'running'

-- name: beat
-- The runner's sign of life; gives who wants it to end.
UPDATE drill SET alive_at = %(now)s WHERE drill_id = %(drill)s AND state = 'running' RETURNING stop_by

-- name: tell
UPDATE drill SET message = coalesce(%(message)s, message), url = coalesce(%(url)s, url), sandbox = coalesce(%(sandbox)s, sandbox)
WHERE drill_id = %(drill)s RETURNING drill_id

-- name: cancel
UPDATE drill SET state = 'cancelled', ended_at = %(now)s, stop_by = %(actor)s, message = 'cancelled before it began'
WHERE drill_id = %(drill)s AND state = 'planned' RETURNING drill_id

-- name: ask_to_stop
UPDATE drill SET stop_by = %(actor)s WHERE drill_id = %(drill)s AND state = 'running' RETURNING drill_id

-- name: finish
UPDATE drill SET state = %(state)s, ended_at = %(now)s, message = %(message)s, report = %(report)s, url = ''
WHERE drill_id = %(drill)s AND state IN ('planned', 'running') RETURNING drill_id

-- name: store_document
INSERT INTO drill_document (drill_id, format, content) VALUES (%(drill)s, %(format)s, %(content)s)
ON CONFLICT (drill_id, format) DO UPDATE SET content = excluded.content

-- name: document
SELECT content FROM drill_document WHERE drill_id = %(drill)s AND format = %(format)s

-- name: add_schedule
INSERT INTO drill_schedule (plan, day, at, created_by, created_at)
VALUES (%(plan)s, %(day)s, %(at)s, %(actor)s, %(now)s) RETURNING schedule_id

-- name: schedules
SELECT schedule_id, plan, day, at, created_by, created_at FROM drill_schedule WHERE ended_by IS NULL ORDER BY schedule_id

-- name: end_schedule
UPDATE drill_schedule SET ended_by = %(actor)s WHERE schedule_id = %(schedule)s AND ended_by IS NULL RETURNING schedule_id

-- name: scenarios
SELECT name, title FROM drill_scenario ORDER BY name

-- name: forget_scenarios
DELETE FROM drill_scenario WHERE name <> ALL (%(names)s)

-- name: keep_scenario
INSERT INTO drill_scenario (name, title) VALUES (%(name)s, %(title)s)
ON CONFLICT (name) DO UPDATE SET title = excluded.title WHERE drill_scenario.title <> excluded.title
