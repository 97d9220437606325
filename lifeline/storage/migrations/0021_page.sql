-- What one shift tells the next, and processes that have ended.

CREATE TABLE handover (
    handover_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    author text NOT NULL,
    note text NOT NULL CHECK (length(note) BETWEEN 1 AND 4000), -- what the next shift must know
    open jsonb NOT NULL,                        -- what was open then, the worst 200: kind, id, level, place, title, step, who
    open_count integer NOT NULL CHECK (open_count >= 0)
);
CREATE TRIGGER handover_append_only BEFORE UPDATE OR DELETE ON handover FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER handover_audit AFTER INSERT ON handover FOR EACH ROW EXECUTE FUNCTION note_change('handover_id', 'open');
-- Of the whole city: nobody with a part of it sees a row.
ALTER TABLE handover ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON handover TO lifeline_api USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON handover TO lifeline_api;
