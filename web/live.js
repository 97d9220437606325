// The live stream: Server-Sent Events read with fetch, because EventSource cannot send the Authorization header.

import { request } from "./api.js";

const SILENCE_MS = 40_000; // the server says something every 15 s: longer than this, the line is dead whatever it claims

/** Calls onChange(Set of what) for each event and onState("live" | "lost" | "refused"). Connects again by itself. */
export async function follow(onChange, onState) {
  for (let failures = 0; ; failures += 1) {
    const abort = new AbortController();
    let watchdog = 0;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    try {
      alive();
      const response = await request("/api/v1/live", { signal: abort.signal, cache: "no-store" });
      if (response.status === 401 || response.status === 403) return onState("refused");
      if (response.ok) {
        onState("live");
        failures = 0;
        await read(response.body, alive, onChange);
      }
    } catch { /* the network: tried again below */ }
    clearTimeout(watchdog);
    onState("lost");
    const pause = Math.min(15_000, 500 * 2 ** failures) * (0.5 + Math.random());
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function read(body, alive, onChange) {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    alive();
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
      if (lines.includes("event: changed") && data) onChange(new Set(JSON.parse(data).what));
    }
  }
}
