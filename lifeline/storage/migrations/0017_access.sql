-- Keys that hand citizens' reports in and read nothing: for a hotline's or an app's server, which strangers can reach.

ALTER TABLE api_key DROP CONSTRAINT api_key_role_check;
ALTER TABLE api_key ADD CONSTRAINT api_key_role_check
    CHECK (role IN ('intake', 'viewer', 'field', 'operator', 'engineer', 'admin'));
