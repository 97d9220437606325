-- What only TimescaleDB's community edition (licence `timescale`) can do. Idempotent: `lifeline migrate` runs it at each
-- call where `SHOW timescaledb.license` says so. On the Apache edition the scheduled jobs of `alerts` do the retention.

ALTER TABLE reading SET (timescaledb.compress, timescaledb.compress_segmentby = 'sensor_id', timescaledb.compress_orderby = 'ts');
SELECT add_compression_policy('reading', INTERVAL '7 days', if_not_exists => true);
ALTER TABLE reading_15m SET (timescaledb.compress, timescaledb.compress_segmentby = 'sensor_id', timescaledb.compress_orderby = 'bucket');
SELECT add_compression_policy('reading_15m', INTERVAL '60 days', if_not_exists => true);

-- The setting lifeline.retention_days is given by `lifeline migrate`; removed and added, so that changed days take effect.
SELECT remove_retention_policy('reading', if_exists => true);
SELECT add_retention_policy('reading', make_interval(days => current_setting('lifeline.retention_days')::integer));

ALTER TABLE map_cell SET (timescaledb.compress, timescaledb.compress_segmentby = 'resolution', timescaledb.compress_orderby = 'cell, at');
SELECT add_compression_policy('map_cell', INTERVAL '7 days', if_not_exists => true);
ALTER TABLE map_segment SET (timescaledb.compress, timescaledb.compress_orderby = 'asset_id, at');
SELECT add_compression_policy('map_segment', INTERVAL '7 days', if_not_exists => true);
