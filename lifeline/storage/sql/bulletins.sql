-- Warnings as other systems read them: what was told of each alert, and what would be told of it now.

-- name: bulletins
-- Risk alerts that are open or ended lately, the newest word first: the newest message of each by which it rose, fell or ended, and
-- those before it since it was over last (of an end: all), for CAP's references.
SELECT a.alert_id, a.raised_at, newest.message_id, newest.body, coalesce((
    SELECT jsonb_agg(jsonb_build_array(p.message_id, p.created_at) ORDER BY p.outbox_id)
    FROM outbox p
    WHERE p.alert_id = a.alert_id AND p.outbox_id < newest.outbox_id AND p.event_type = ANY (%(told)s)
        AND (newest.event_type = ANY (%(over)s) OR p.outbox_id > coalesce((SELECT max(x.outbox_id) FROM outbox x
            WHERE x.alert_id = a.alert_id AND x.outbox_id < newest.outbox_id AND x.event_type = ANY (%(over)s)), 0))), '[]')
FROM alert a
CROSS JOIN LATERAL (
    SELECT o.outbox_id, o.message_id, o.event_type, o.body FROM outbox o
    WHERE o.alert_id = a.alert_id AND o.event_type = ANY (%(told)s) ORDER BY o.outbox_id DESC LIMIT 1
) newest
WHERE a.kind = 'risk' AND (%(alert_id)s::bigint IS NULL OR a.alert_id = %(alert_id)s)
    AND (%(since)s::timestamptz IS NULL OR a.closed_at IS NULL OR a.closed_at >= %(since)s)
    AND (%(network)s::text IS NULL OR a.network = %(network)s)
    AND (%(levels)s::int[] IS NULL OR a.level = ANY (%(levels)s))
ORDER BY newest.outbox_id DESC LIMIT %(limit)s;

-- name: standing
-- Open alerts whose process is in alarm, worst first: the message that would tell of each now, its state, when it last changed.
SELECT alert_message(a, 'alert.raised', a.updated_at, '', ''), a.state, a.updated_at
FROM alert a WHERE a.closed_at IS NULL AND a.returned_at IS NULL
ORDER BY a.level, a.raised_at DESC, a.alert_id DESC LIMIT %(limit)s;
