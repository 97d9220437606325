"""The only place with SQL. Functions take a connection and give model objects; statements stand in ``sql/``.

One module a noun: inventory (assets, devices, sensors), readings, rollups, alerts, outbox, keys, health, migrations.
"""
