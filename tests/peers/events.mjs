// Parses deliveries as a receiver of CloudEvents in Node would, with `cloudevents` from npm.
//
// usage: node events.mjs FILE
//
// Lines, meaning and exit codes are those of events.py.
import { deepStrictEqual } from "node:assert";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const peers = process.env.LOCKSTEP_PEERS ?? fileURLToPath(new URL("../../target/peers", import.meta.url));
let HTTP;
try {
  ({ HTTP } = createRequire(`${resolve(peers)}/node/`)("cloudevents"));
} catch {
  console.error("events.mjs: the library cloudevents is missing; run tests/peers/install.sh");
  process.exit(2);
}

let parsed = 0;
let binary = 0;
for (const [index, line] of readFileSync(process.argv[2], "utf8").split("\n").entries()) {
  if (line.trim() === "") continue;
  const { headers, body, expect } = JSON.parse(line);
  try {
    if (!HTTP.isEvent({ headers, body })) throw new Error("the library sees no event in it");
    const event = HTTP.toEvent({ headers, body });
    event.validate();
    const { id, source, type, subject, data } = event;
    deepStrictEqual({ id, source, type, subject, data }, expect);
    if (event.specversion !== "1.0" || Number.isNaN(Date.parse(event.time))) throw new Error("specversion or time");
  } catch (error) {
    console.log(`line ${index + 1}: ${error.message}`);
    process.exit(1);
  }
  parsed += 1;
  binary += "ce-id" in headers;
}
console.log(`${parsed} events parsed, ${binary} of them binary`);
