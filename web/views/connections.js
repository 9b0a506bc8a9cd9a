// Connections as they stand, and what an operator can do with them.

import { ask } from "../api.js";
import { dialog, h, put, say, table, tag } from "../dom.js";
import { day, near } from "../format.js";

const KINDS = { active: "good", pending: "warn", attention: "bad", expired: "bad", failed: "bad", revoked: "" };

export async function show(place, { may }) {
  const list = h("div", {});
  const search = h("input", { type: "search", id: "find", placeholder: "github, alice, attention…" });
  put(place, h("h1", {}, "Connections"), h("div", { class: "row" }, h("div", {}, h("label", { for: "find" }, "Find"), search)), list);
  let all = [];
  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (one) => `${one.connection} ${one.auth_type} ${one.status} ${one.user ?? ""} ${one.hosts.join(" ")}`.toLowerCase();
    const found = all.filter((one) => words.every((word) => text(one).includes(word)));
    put(list, table("Connections", columns(may, look), found, all.length === 0 ? "There are none yet: nexus register PROVIDER makes one." : "None of them is like that."));
  };
  const look = async () => {
    all = (await ask("GET", "/api/connections")).connections;
    draw();
  };
  search.addEventListener("input", draw);
  await look();
}

function columns(may, look) {
  return [
    { name: "Connection", cell: (one) => h("span", { class: "mono" }, one.connection) },
    { name: "Kind", cell: (one) => (one.app ? `${one.auth_type}, an app` : one.auth_type) },
    { name: "Status", cell: (one) => tag(one.status, KINDS[one.status]) },
    { name: "Ends", cell: life },
    { name: "Last used", cell: (one) => (one.last_used_at ? near(one.last_used_at) : "not yet") },
    { name: "Goes to", cell: (one) => h("details", {}, h("summary", {}, `${one.hosts.length} hosts`), h("ul", {}, one.hosts.map((host) => h("li", { class: "mono" }, host)))) },
    { name: "", cell: (one) => may("operator") && h("button", { class: "quiet bad", on: { click: () => remove(one, look) } }, "Remove…") },
  ];
}

/** What is left of its life, of the time since it was registered. */
function life(one) {
  if (!one.expires_at) return "no end";
  const [from, to, now] = [new Date(one.registered_at ?? one.expires_at), new Date(one.expires_at), new Date()].map((time) => time.getTime());
  const left = to > from ? Math.min(1, Math.max(0, (to - now) / (to - from))) : 0;
  const renewed = one.next_renewal_at ? h("small", {}, `renewed from ${day(one.next_renewal_at)} on`) : null;
  return [h("meter", { min: 0, max: 1, value: left, "aria-label": "what is left" }), ` ${near(one.expires_at)}`, renewed];
}

async function remove(one, look) {
  const answered = await dialog(`Remove ${one.connection}?`, h("p", {}, "Its credential is erased, and ended at the service where that can be asked to. Programs that used it are refused."),
    [{ value: "yes", label: "Remove", kind: "bad" }, { value: "", label: "Cancel" }]);
  if (answered === null) return;
  try {
    await ask("DELETE", `/v1/connections/${encodeURIComponent(one.connection)}`);
    say(`${one.connection} is removed.`);
  } catch (problem) {
    say(problem.message, "wrong");
  }
  await look();
}
