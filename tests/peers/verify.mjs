// Verifies deliveries as a receiver in Node would, with `standardwebhooks` from npm.
//
// usage: node verify.mjs [FILE]     (standard input without one)
//
// Lines, meaning and exit codes are those of verify.py. The library knows HMAC (v1) only; Ed25519
// (v1a) is checked with node:crypto.
import { createPublicKey, verify as verifyBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const TOLERANCE_S = 5 * 60;

const stop = (text, code = 2) => {
  console.error(`verify.mjs: ${text}`);
  process.exit(code);
};

const peers = process.env.LOCKSTEP_PEERS ?? fileURLToPath(new URL("../../target/peers", import.meta.url));
let Webhook;
try {
  ({ Webhook } = createRequire(`${resolve(peers)}/node/`)("standardwebhooks"));
} catch {
  stop("the library standardwebhooks is missing; run tests/peers/install.sh");
}

function verifyV1a(publicKey, body, given) {
  const headers = Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]));
  const stamp = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(stamp)) <= TOLERANCE_S)) throw new Error("timestamp outside the tolerance");
  const x = Buffer.from(publicKey.replace(/^whpk_/, ""), "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const signed = Buffer.from(`${headers["webhook-id"]}.${stamp}.${body}`);
  const good = headers["webhook-signature"].split(" ").some((part) => {
    const [version, signature] = part.split(",");
    return version === "v1a" && verifyBytes(null, signed, key, Buffer.from(signature, "base64"));
  });
  if (!good) throw new Error("no v1a signature of this key");
}

function* checks({ headers, body, secrets, public_key }) {
  for (const [place, secret] of secrets.entries()) {
    yield [`v1 with secret ${place}`, () => new Webhook(secret).verify(body, headers, { jsonParse: false })];
  }
  if (public_key) yield ["v1a", () => verifyV1a(public_key, body, headers)];
}

let verified = 0;
let refused = 0;
let v1a = 0;
const lines = readFileSync(process.argv[2] ?? 0, "utf8").split("\n");
for (const [index, line] of lines.entries()) {
  if (line.trim() === "") continue;
  const delivery = JSON.parse(line);
  if (!["valid", "invalid"].includes(delivery.expect)) {
    stop(`line ${index + 1}: expect is ${JSON.stringify(delivery.expect)}, not valid or invalid`);
  }
  let done = 0;
  for (const [name, check] of checks(delivery)) {
    let outcome = "valid";
    let why = "the signature is good";
    try {
      check();
    } catch (error) {
      outcome = "invalid";
      why = `${error.name}: ${error.message}`;
    }
    done += 1;
    if (name === "v1a") v1a += 1;
    if (outcome !== delivery.expect) {
      console.log(`line ${index + 1}: ${name}: expected ${delivery.expect}, found ${outcome}: ${why}`);
      console.log(`  headers: ${JSON.stringify(delivery.headers)}`);
      process.exit(1);
    }
  }
  if (done === 0) stop(`line ${index + 1}: neither a secret nor a public key to verify with`);
  if (delivery.expect === "valid") verified += 1;
  else refused += 1;
}
if (verified + refused === 0) stop("no delivery to verify");
console.log(`${verified} verified, ${refused} refused as expected${v1a ? ` (${v1a} checks of v1a by node:crypto)` : ""}`);
