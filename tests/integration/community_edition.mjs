// Runs the statements on standard input (a JSON list) in TimescaleDB (PGlite; argument: its dist folder) and prints
// what the catalogue says afterwards.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const dist = process.argv[2];
const { PGlite } = await import(pathToFileURL(join(dist, "index.js")));
const { timescaledb } = await import(pathToFileURL(join(dist, "timescaledb", "index.js")));

const db = new PGlite({ extensions: { timescaledb } });
const rows = async (sql) => (await db.query(sql)).rows;

try {
  for (const statement of JSON.parse(readFileSync(0, "utf8"))) await db.exec(statement);
  const answer = {
    license: (await rows("SHOW timescaledb.license"))[0]["timescaledb.license"],
    compressed: (
      await rows(
        "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE compression_enabled ORDER BY 1",
      )
    ).map((row) => row.hypertable_name),
    segment_by: await rows(
      "SELECT hypertable_name, attname FROM timescaledb_information.compression_settings WHERE segmentby_column_index IS NOT NULL",
    ),
    jobs: await rows(
      "SELECT proc_name, hypertable_name, config FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL",
    ),
  };
  await db.exec(`
    INSERT INTO reading SELECT 1, '2026-01-01T00:00Z'::timestamptz + make_interval(secs => i), i, 0 FROM generate_series(1, 200) i;
    SELECT compress_chunk(chunk) FROM show_chunks('reading') chunk;
    INSERT INTO reading VALUES (1, '2026-01-01T00:00:05Z', 5, 0), (1, '2026-01-01T01:00Z', 5, 0) ON CONFLICT DO NOTHING;`);
  answer.after_compression = {
    readings: Number((await rows("SELECT count(*) AS n FROM reading"))[0].n),
    compressed_chunks: Number(
      (await rows("SELECT count(*) AS n FROM timescaledb_information.chunks WHERE is_compressed"))[0].n,
    ),
  };
  console.log(JSON.stringify(answer));
} catch (error) {
  process.stderr.write(`${error.message}\n${error.where ?? ""}\n`);
  process.exitCode = 1;
}
