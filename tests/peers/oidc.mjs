// An OpenID provider by npm's oidc-provider: refresh tokens are good for one use, and one that comes a second time
// takes back everything that was ever given for the same leave. Its own page of the user (/me) is what tokens let in to.
//
// usage: node oidc.mjs     (after tests/peers/install.sh; it ends when its standard input does)
//
// Its first line on standard output is JSON: its URL, and a first refresh token as a login would give it.
//   POST /later {"seconds"}   lets time pass here
//   POST /cut {"took"}        the next token request is lost on the way, or, where it took effect, the answer to it
//   POST /seen                {"asked", "given", "refused", "revoked", "shown", "turnedAway"}
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

// What it warns of is what suits a test: memory for a store, keys of its own making, plain HTTP on this machine alone.
console.warn = console.info = () => {};
const peers = process.env.LOCKSTEP_PEERS ?? fileURLToPath(new URL("../../target/peers", import.meta.url));
const load = createRequire(`${resolve(peers)}/node/`);
const { Provider } = await import(pathToFileURL(load.resolve("oidc-provider")).href);

const clock = Date.now;
let ahead = 0;
Date.now = () => clock() + ahead;

const seen = { asked: 0, given: 0, refused: 0, revoked: 0, shown: 0, turnedAway: 0 };
let cut = null;

const controls = {
  "/later": ({ seconds }) => (ahead += seconds * 1000),
  "/cut": (said) => (cut = said),
  "/seen": () => seen,
};

let provide;
const server = createServer(async (request, response) => {
  const control = controls[request.url];
  if (control) {
    const parts = [];
    for await (const part of request) parts.push(part);
    response.setHeader("content-type", "application/json").end(JSON.stringify(control(JSON.parse(Buffer.concat(parts)))));
    return;
  }
  if (request.url === "/token") {
    seen.asked += 1;
    if (cut) {
      const { took } = cut;
      cut = null;
      if (!took) return request.socket.destroy();
      response.end = () => request.socket.destroy();
    }
  }
  if (request.url === "/me") {
    response.on("finish", () => (seen[response.statusCode === 200 ? "shown" : "turnedAway"] += 1));
  }
  provide(request, response);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const url = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(url, {
  clients: [{
    client_id: "hub", client_secret: "s3cret-of-the-hub", token_endpoint_auth_method: "client_secret_post",
    grant_types: ["authorization_code", "refresh_token"], redirect_uris: ["https://hub.example/oauth/callback"],
  }],
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: 60, RefreshToken: 86_400 * 14, Grant: 86_400 * 14 },
});
provider.on("grant.success", () => (seen.given += 1));
provider.on("grant.error", () => (seen.refused += 1));
provider.on("grant.revoked", () => (seen.revoked += 1));
provide = provider.callback();

const scope = "openid offline_access";
const grant = new provider.Grant({ accountId: "anna", clientId: "hub" });
grant.addOIDCScope(scope);
const grantId = await grant.save();
const client = await provider.Client.find("hub");
const first = new provider.RefreshToken({ accountId: "anna", client, grantId, gty: "authorization_code", scope });
console.log(JSON.stringify({ url, refreshToken: await first.save() }));
process.stdin.on("end", () => process.exit()).resume();
