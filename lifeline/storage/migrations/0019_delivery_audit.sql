-- Who sent a test or had messages sent again is noted (0013). Asked before the function: deliveries are many, and what the alerts
-- process does with them is nobody's act.
CREATE TRIGGER delivery_audit AFTER INSERT OR UPDATE ON delivery FOR EACH ROW
    WHEN (coalesce(current_setting('lifeline.actor', true), '') <> '') EXECUTE FUNCTION note_change('delivery_id');
