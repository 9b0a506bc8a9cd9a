// Lines to paste elsewhere, made of what strangers sent: a command of a POSIX shell, a rule in TOML. Nothing in them gets out of its quotes.

/** In the shell's single quotes nothing has a meaning but the quote itself. */
export function quoted(word) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What a URL may not hold as it is, as escapes: no control gets into a terminal by way of the clipboard. */
function escaped(text) {
  return text.toWellFormed().replace(/[^!$&-;=?-Z_a-z~%]/gu, encodeURIComponent);
}

/** How the log ends a path that was too long for it. */
const CUT = /\.\.\.\+[0-9]+$/;
const SHORTEST_CUT = 1024;

/** The path as far as it is known, and what is not. */
function known({ path: whole = "/" }) {
  const cut = whole.length >= SHORTEST_CUT && CUT.test(whole);
  const [path, query = ""] = (cut ? whole.replace(CUT, "") : whole).split(/\?(.*)/s);
  return { path, query, cut, cutInPath: cut && query === "", hidden: path.split("/").includes("***") };
}

const USUAL = { http: 80, https: 443 };

/** The host as URLs and rules write it: the log has IPv6 addresses without brackets. */
const bracketed = (host) => (/^[0-9a-f:.]*:[0-9a-f:.]*$/.test(host) ? `[${host}]` : host);

function url(record) {
  const { path, query } = known(record);
  const scheme = record.scheme ?? "https";
  const host = bracketed(record.host) === record.host ? escaped(record.host) : bracketed(record.host);
  const port = record.port === undefined || record.port === USUAL[scheme] ? "" : `:${Number(record.port)}`;
  return `${scheme}://${host}${port}${escaped(path.startsWith("/") ? path : "/")}${query ? `?${escaped(query)}` : ""}`;
}

/** Who asks without a token has no name that could be asked about: `local` is what the log calls them. */
const named = ({ agent }) => (agent === "local" ? undefined : agent);

/** The request as `/api/explain` is asked about it; a tunnel by any request inside. */
export const inquiry = (record) => ({ method: record.method ?? "GET", url: url(record), ...(named(record) === undefined ? {} : { agent: record.agent }) });

/** `nexus explain METHOD URL --agent NAME`, and what the log does not know of it. */
export function explainLine(record) {
  const { cut, hidden, query } = known(record);
  const method = record.method ?? "GET";
  const agent = named(record) === undefined ? [] : record.agent.startsWith("-") ? [`--agent=${quoted(record.agent)}`] : ["--agent", quoted(record.agent)];
  const words = method.startsWith("-") ? [...agent, "--", quoted(escaped(method)), quoted(url(record))] : [quoted(escaped(method)), quoted(url(record)), ...agent];
  const notes = [];
  if (query) notes.push("the log has no values of a query");
  if (cut) notes.push("the log has the path's beginning only");
  if (hidden) notes.push("*** stands for a part of the path that is a secret");
  return { line: ["nexus", "explain", ...words].join(" "), notes };
}

/** A string of TOML; all but plain ASCII is an escape, so that it can be looked at. */
export function toml(text) {
  const escape = (letter) => {
    if (letter === '"' || letter === "\\") return `\\${letter}`;
    const code = letter.codePointAt(0);
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  };
  return `"${text.toWellFormed().replace(/["\\]|[^ -~]/gu, escape)}"`;
}

const MOST_SEGMENTS = 48;

/** The path as a pattern of a rule: what can't stand in one is a star, and what the log does not know is any. */
function pattern(record) {
  const { path, cutInPath } = known(record);
  const segments = path.split("/").slice(1);
  const made = [];
  for (const [at, segment] of segments.entries()) {
    const last = at === segments.length - 1;
    if (segment === "***") return { pattern: "/**", wider: true };
    if (at === MOST_SEGMENTS || (last && cutInPath) || (segment === "" && !last) || segment === "." || segment === "..") return { pattern: `/${[...made, "**"].join("/")}`, wider: true };
    // An escape may be a slash to the service: then it is more than one segment.
    if (/%(2f|5c)/i.test(segment) || /[\\;]/.test(segment)) return { pattern: `/${[...made, "**"].join("/")}`, wider: true };
    made.push(/^[A-Za-z0-9._~!$&'()+,:=@-]*$/.test(segment) ? segment : "*");
  }
  return { pattern: `/${made.join("/")}`, wider: made.includes("*") };
}

/** What a person may want done with such requests. */
export const ACTIONS = { deny: "refuse them", allow: "let them on", approve: "ask a person" };

/** A `[[rule]]` for requests like this one, and what is to be known about it. */
export function rule(record, action) {
  const notes = [];
  const lines = ["[[rule]]"];
  if (record.agent !== undefined) lines.push(`agents = ${toml(record.agent)}`);
  lines.push(`hosts = ${toml(bracketed(record.host))}`);
  if (record.port !== undefined && record.port !== USUAL[record.scheme ?? "https"]) lines.push(`ports = ${Number(record.port)}`);
  if (record.method !== undefined && record.method !== "CONNECT") {
    if (/^[A-Z-]{1,32}$/.test(record.method)) lines.push(`methods = ${toml(record.method)}`);
    else notes.push("no rule can name this method: it would count for every one");
    if (record.path?.startsWith("/")) {
      const { pattern: path, wider } = pattern(record);
      if (path !== "/**") lines.push(`paths = ${toml(path)}`);
      if (wider) notes.push("its path can't be written as it is: the rule speaks of more than this one request");
    }
  }
  lines.push(`action = ${toml(action)}`);
  if (record.agent === undefined) notes.push("nobody's name is on record: the rule speaks of every agent");
  return { text: `${lines.join("\n")}\n`, notes };
}
