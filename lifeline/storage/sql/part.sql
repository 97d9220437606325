-- Whether a thing is there for who asks: asked under a scope's policies, and past them.

-- name: assets
SELECT EXISTS (SELECT FROM asset WHERE external_id = %(name)s);

-- name: devices
SELECT EXISTS (SELECT FROM device WHERE external_id = %(name)s);

-- name: zones
SELECT EXISTS (SELECT FROM zone WHERE external_id = %(name)s);

-- name: sensors
-- By device/channel.
SELECT EXISTS (SELECT FROM sensor JOIN device USING (device_id)
    WHERE external_id = split_part(%(name)s, '/', 1) AND channel = substr(%(name)s, strpos(%(name)s, '/') + 1));
