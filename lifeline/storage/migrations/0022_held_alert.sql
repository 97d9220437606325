-- Who answers an alert holds it against others who would change it, and no longer against what only refers to it: a reminder or an
-- escalation that is written meanwhile does not wait, and so cannot dead-lock with a note on several alerts.
CREATE OR REPLACE FUNCTION hold_alert(holder bigint) RETURNS SETOF alert
LANGUAGE sql VOLATILE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
    SELECT * FROM alert WHERE alert_id = holder FOR NO KEY UPDATE
$$;
