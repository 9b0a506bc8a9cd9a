// The fixed words of the audit log, and what they mean to a person.

/** Verdict: what a row says, the colour of it, what it means. */
export const VERDICTS = {
  inject: ["inject", "good", "It went on with a stored credential."],
  pass: ["pass", "", "It went on as the program sent it, without a stored credential."],
  tunnel: ["tunnel", "", "Its bytes went both ways unread."],
  intercept: ["intercept", "", "A CONNECT that was opened: each request inside has a record of its own."],
  answer: ["answer", "good", "Nexus answered itself, with what was asked for."],
  refuse: ["refuse", "bad", "Nexus refused it; nothing of it reached the service."],
};

/** Refusal: why, what to do, and the file under docs/howto that says more. */
export const REFUSALS = {
  malformed: ["It was no request that every reader takes alike.", "The program must send what follows RFC 9110 and RFC 9112."],
  "too-large": ["Its head was larger than it may be.", "limits.head_size, limits.head_fields and limits.target_size in nexus.toml say how large."],
  misdirected: ["It named another host than its CONNECT or its URL.", "The program must open a new CONNECT for another host."],
  method: ["Its method is none that goes through.", "The program must use another method."],
  policy: ["A rule, a limit of the agent or the provider's file does not let it on.", "See below which; nexus explain says where it stands.", "policy.md"],
  auth_required: ["There is no credential for it, or a dead one.", "Register or renew the connection; it is listed under Needs you.", "attention.md"],
  canary: ["A placeholder stood where it does not belong.", "Look at what the program does: somebody may have made it send what it holds.", "canaries.md"],
  frozen: ["The agent is frozen.", "Look at what it did; nexus agent thaw NAME lets it go on.", "canaries.md"],
  "unknown-agent": ["The proxy does not know who asked.", "The program needs the proxy URL with name and token, as nexus agent add shows it.", "agents.md"],
  limit: ["A limit is reached.", "The program should wait as Retry-After says.", "policy.md"],
  vault: ["The credential could not be read.", "Look at the log of nexus up, and run nexus status."],
  gateway: ["The gateway that holds the credential did not lend it.", "Look at nexus status on both sides.", "nodes.md"],
  renewal: ["The credential has expired, and its token endpoint gave no new one.", "It is tried again by itself; if it lasts, look at the service.", "connections.md"],
  audit: ["The audit log could not be written, and nothing leaves that it does not name.", "Look at the disk of Nexus.", "audit.md"],
  draining: ["Nexus was shutting down.", "The program may send it again."],
  "not-found": ["nexus.internal has no such page.", "Its pages are /ca.pem, /ca-bundle.pem, /env and /whoami."],
  upstream: ["The service could not be reached, or broke off, or answered what can't go to a program.", "Whether it acted on the request may be unknown; try again later."],
  "upstream-tls": ["The service's certificate does not hold, so nothing was sent.", "A private CA goes into upstream.extra_roots."],
  tls: ["The program did not finish its TLS handshake with Nexus.", "It has to trust Nexus's CA.", "clients.md"],
  timeout: ["It took longer than it may.", "The service may be overloaded, or the program sent too slowly."],
  "private-address": ["It leads to a private or local address.", "upstream.allow_private in nexus.toml lists those that may be reached."],
  loop: ["It leads back to the proxy itself.", "nexus.internal has the proxy's own pages."],
};

/** A step on the way, or a closer reason. */
export const NOTES = {
  renewed: "The service refused the credential; it was renewed.",
  replayed: "The request was sent a second time, with the fresh credential.",
  not_replayable: "It was not sent a second time: its body was not kept, or its method may do harm twice.",
  challenged: "The service asked for a signature over a challenge, and got it.",
  attention: "The credential is dead: a person has to act.",
  captured: "A credential in the answer was stored, and the program got a placeholder.",
  token_response: "The program was answered with a worthless token; the true one stays here.",
  held: "It waited for a person.",
  approval_asked: "A person was asked, and the program did not wait.",
  approval_denied: "A person said no.",
  approval_timed_out: "Nobody answered in time.",
  approval_impossible: "There is no gateway at which somebody could have said yes.",
  canary: "A placeholder was seen where it does not belong.",
  caller_left: "The program left before the answer was complete.",
  broken_off: "The stream broke off.",
  abandoned: "The program left before anything was decided.",
  idle: "Nothing moved for too long.",
  no_request: "A stream came, and no request.",
  not_tls: "What came through the CONNECT was no TLS.",
  agent_revoked: "The agent was revoked meanwhile.",
  rule_over: "The time ended for which a rule had let it on.",
  rule: "A rule of the policy refused it.",
  no_rule: "No rule speaks of it, and policy.default is deny.",
  agent: "The agent may not reach this host or use this provider.",
  unmatched: "No provider's file names this host, and proxy.unmatched is refuse.",
  cleartext: "Credentials go over TLS only.",
  port: "The provider is reached on its own port only.",
  connect_port: "Only ports 80, 443 and those of the providers are reached.",
  mints_credentials: "This endpoint makes or ends credentials: that is the operator's to do.",
  path: "The provider's file does not let this path on.",
  unclear_path: "The path has several readings.",
  rate: "The agent's own rate was reached.",
  lease_spent: "The lease has no calls left.",
  token_endpoint: "Token endpoints are not for programs.",
  connection: "The connection that it named is not the agent's to use.",
  not_sealed: "The credential was not registered for this host.",
  pending: "The connection waits for an operator's yes.",
  unknown_coding: "The answer was under a coding that can't be searched for the credential.",
  malformed_coding: "The answer was not what its coding says.",
  truncated_coding: "The answer ended before its coding did.",
  expanding_coding: "The answer grew beyond all measure when decoded.",
  unreadable_frame: "A WebSocket frame could not be searched for the credential.",
  cooling_down: "A renewal had failed just before, so none was tried.",
  rate_limited: "The token endpoint asked for a pause.",
  endpoint_unavailable: "The token endpoint failed.",
  endpoint_unreachable: "The token endpoint could not be reached.",
  endpoint_late: "The token endpoint took too long.",
  no_refresh_token: "There is nothing to renew the credential with.",
  unchanged: "The renewal brought the same credential again.",
  gateway_away: "The gateway that renews it did not answer.",
  expectation_failed: "The service does not take Expect: 100-continue; it was sent again without it.",
};

/** Where a placeholder was seen. */
export const PLACES = { host: "in the host", path: "in the path", query: "in the query", header: "in a header field", slot: "in another service's slot", body: "in the body" };

const DOORS = { connect: "by CONNECT", absolute: "by a full URL", base_url: "by a base URL" };
export const door = (word) => DOORS[word] ?? word;
