-- Photos that the field sends through a field link: evidence, so they are kept as they came and never changed.

CREATE TABLE field_photo (
    photo_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alert,
    nonce text NOT NULL,                        -- of the link through which it came
    at timestamptz NOT NULL,
    name text NOT NULL DEFAULT '',              -- as the person gave it; nobody has checked it
    address text NOT NULL DEFAULT '',
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp')),
    content bytea NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 524288),
    digest bytea NOT NULL,                      -- SHA-256: the same photo sent twice is kept once
    UNIQUE (alert_id, digest)
);
CREATE INDEX field_photo_nonce ON field_photo (nonce);
CREATE TRIGGER field_photo_append_only BEFORE UPDATE OR DELETE ON field_photo
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON field_photo TO lifeline_api;
GRANT SELECT ON field_photo TO lifeline_alerts;
