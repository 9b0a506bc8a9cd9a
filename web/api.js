// What the gateway is asked. Half of a session is a cookie that no script sees; the other half is here, where no other origin looks.

const KEPT = "nexus.page";

/** Why something was not done: the gateway's own words. */
export class Problem extends Error {
  constructor(status, document) {
    super(document?.detail ?? `the gateway answered ${status}`);
    this.status = status;
    this.code = document?.code ?? "";
    this.document = document ?? {};
  }
}

export const keep = (secret) => (secret === null ? localStorage.removeItem(KEPT) : localStorage.setItem(KEPT, secret));
export const known = () => localStorage.getItem(KEPT) !== null;

function fields(background) {
  const secret = localStorage.getItem(KEPT);
  const shown = secret === null ? {} : { "nexus-page": secret };
  return background ? { ...shown, "nexus-background": "1" } : shown;
}

/** The answer, if it is a good one. */
export async function fetched(method, path, { body, background, signal, more } = {}) {
  const headers = { ...fields(background), ...more };
  if (body !== undefined) headers["content-type"] = "application/json";
  const sent = body === undefined ? undefined : JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, { method, headers, body: sent, signal, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the gateway does not answer; is `nexus up` still running?", code: "away" });
  }
  if (response.ok) return response;
  const document = await response.json().catch(() => null);
  const problem = new Problem(response.status, document);
  if (problem.code === "signed_out") told_window("signed-out");
  throw problem;
}

function told_window(name) {
  window.dispatchEvent(new CustomEvent(name));
}

/** Asks for JSON, or for nothing; `background` says that no person did anything. */
export async function ask(method, path, options) {
  const response = await fetched(method, path, options);
  if (response.status === 204) return null;
  return response.json();
}

/** A file that the gateway writes, for the browser to store. */
export async function download(path, name) {
  const response = await fetched("GET", path);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** A stream that says nothing for so long is gone. */
const SILENCE = 40000;

/**
 * Server-Sent Events (HTML section 9.2) by fetch, since EventSource can't show our half of the session. Calls `told(event, data, id)`;
 * ends with the signal, or where the stream ends. `last` is the id after which it goes on.
 */
export async function events(path, told, signal, last = null) {
  const quiet = new AbortController();
  const response = await fetched("GET", path, { background: true, signal: AbortSignal.any([signal, quiet.signal]), more: last === null ? {} : { "last-event-id": last } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let timer = setTimeout(() => quiet.abort(), SILENCE);
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), SILENCE);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) tell(block, told);
    }
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(0, { detail: "The gateway is not heard any more", code: "away" });
  } finally {
    clearTimeout(timer);
  }
}

function tell(block, told) {
  let [event, id] = ["message", null];
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("id:")) id = line.slice(3).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  if (data.length > 0) told(event, JSON.parse(data.join("\n")), id);
}
