-- Sessions of people whom the city's own log-in service knows: they have no row in app_user, so that no name of that service
-- is ever taken for a user's. And a number by which a session can be told and ended without its token.

ALTER TABLE session
    ALTER COLUMN user_id DROP NOT NULL,
    ADD COLUMN session_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN by_link boolean NOT NULL DEFAULT false, -- opened by a one-time link
    ADD COLUMN subject text,                    -- the service's own word for somebody (sub); NULL: a user's session
    ADD COLUMN name text,                       -- as its token said when he logged in: name, role and scope
    ADD COLUMN role text CHECK (role IN ('viewer', 'field', 'operator', 'engineer', 'admin')),
    ADD COLUMN networks text[] CHECK (cardinality(networks) > 0),
    ADD COLUMN zones text[] CHECK (cardinality(zones) > 0),
    ADD CONSTRAINT session_of_somebody CHECK (
        (user_id IS NULL) = (subject IS NOT NULL AND name IS NOT NULL AND role IS NOT NULL)
    );
CREATE INDEX session_of_subject ON session (subject) WHERE subject IS NOT NULL;
