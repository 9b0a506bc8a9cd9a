// A certified OpenID Provider (npm oidc-provider) over TLS, and an API that takes its access tokens.
//     node server.mjs FOLDER_OF_NODE_MODULES CERTIFICATE KEY
// Prints `listening PORT`. Clients: "app" (secret "s3cr3t-of-the-app", HTTP Basic) and "public" (none).
// POST /test/expire ends every access token, POST /test/revoke every grant; GET /test/refreshes tells how often a refresh token was shown;
// POST /test/slow answers the next question about a device code with slow_down.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { pathToFileURL } from "node:url";

const [modules, cert, key] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(`${modules}/oidc-provider/lib/index.js`));

// stdout is for whoever waits for the port.
console.info = console.warn = console.error;

const grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];
const client = (id, more) => ({
  client_id: id,
  application_type: "native", // any port of the loopback address (RFC 8252 section 7.3)
  redirect_uris: ["http://127.0.0.1/callback", "http://127.0.0.1/oauth/callback"],
  response_types: ["code"],
  grant_types: grants,
  ...more,
});

const provider = new Provider("https://login.acme.example", {
  clients: [
    client("app", { client_secret: "s3cr3t-of-the-app", token_endpoint_auth_method: "client_secret_basic" }),
    client("public", { token_endpoint_auth_method: "none" }),
  ],
  cookies: { keys: ["a key of the test"] },
  scopes: ["openid", "offline_access", "email"],
  claims: { openid: ["sub"], email: ["email"] },
  conformIdTokenClaims: false,
  findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, email: `${id}@acme.example` }) }),
  features: { deviceFlow: { enabled: true }, revocation: { enabled: true }, devInteractions: { enabled: true } },
  pkce: { required: () => true },
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, DeviceCode: 120 },
});

let live = new Set();
let slow = 0;
let refreshes = 0;
const given = new Set();
provider.on("access_token.issued", (token) => live.add(token.jti));
provider.on("access_token.saved", (token) => (live.add(token.jti), given.add(token.grantId)));

async function revoke(response) {
  for (const id of given) {
    for (const kind of [provider.AccessToken, provider.RefreshToken]) await kind.revokeByGrantId(id);
    await provider.Grant.adapter.destroy(id);
  }
  return answer(response, 200, {});
}

const answer = (response, status, body) => {
  response.writeHead(status, { "content-type": "application/json", connection: "close" });
  response.end(JSON.stringify(body));
};

async function me(request, response, wrap = (account) => account) {
  const shown = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
  const token = shown && (await provider.AccessToken.find(shown));
  if (!token || !live.has(token.jti)) return answer(response, 401, { error: "invalid_token" });
  return answer(response, 200, wrap({ login: token.accountId, scope: token.scope }));
}

// GraphQL answers 200 to its own mistakes.
async function graphql(request, response) {
  const body = await new Response(request).text();
  const asked = request.headers["content-type"] === "application/json" && JSON.parse(body).query === "{ viewer { login } }";
  if (!asked) return answer(response, 200, { errors: [{ message: "what?" }] });
  return me(request, response, (viewer) => ({ data: { viewer } }));
}

provider.use(async (ctx, next) => {
  if (ctx.path === "/token" && ctx.method === "POST" && slow > 0) {
    slow -= 1;
    ctx.status = 400;
    ctx.body = { error: "slow_down" };
    return;
  }
  await next();
  if (ctx.path === "/token" && ctx.oidc?.params?.grant_type === "refresh_token") refreshes += 1;
  // The shortest that may be asked for, so that nobody waits longer than needed.
  if (ctx.path === "/device/auth" && ctx.status === 200) ctx.body = { ...ctx.body, interval: 1 };
});

const serve = provider.callback();
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  if (request.url === "/v1/me") return void me(request, response);
  if (request.url === "/v1/graphql") return void graphql(request, response);
  if (request.url === "/test/expire") return void ((live = new Set()), answer(response, 200, {}));
  if (request.url === "/test/revoke") return void revoke(response);
  if (request.url === "/test/refreshes") return void answer(response, 200, { refreshes });
  if (request.url === "/test/slow") return void ((slow = 1), answer(response, 200, {}));
  return void serve(request, response);
});
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
