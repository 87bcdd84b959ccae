/* What the page knows and how it asks: calls to the server, the words, settings that last. */

export const me = { csrf: "", agent: { id: "", name: "" }, agents: [], teams: [], topics: [], demo: false, undo_s: 5, poll_s: 30, skew: 0 };
let words = {};

export const setWords = (texts) => { words = texts; };
/** A sentence by its key, its holes filled. What fills them is data: it goes in as it is, once. */
export const t = (key, values = {}) => (words[key] ?? key).replace(/\{\{ (\w+) \}\}/g, (_, name) => values[name] ?? "");
export const knows = (key) => key in words;

/** Now, by the server's clock. */
export const now = () => Date.now() + me.skew;

export class Refusal extends Error {
  constructor(status, body) {
    super(body.detail || String(status));
    this.status = status;
    this.code = body.code || "";
    this.agent = body.agent || "";
    this.warnings = body.warnings || [];
  }
}

async function call(path, options = {}) {
  const sent = Date.now();
  const answer = await fetch("/desk/" + path, { credentials: "same-origin", ...options });
  const body = await answer.json().catch(() => ({}));
  if (body.now) me.skew = new Date(body.now) - (sent + Date.now()) / 2;
  if (!answer.ok) throw new Refusal(answer.status, body);
  return body;
}
export const get = (path) => call("api/" + path);
export const post = (path, body = {}) => call("api/" + path, {
  method: "POST", headers: { "Content-Type": "application/json", "X-Stafett-CSRF": me.csrf }, body: JSON.stringify(body),
});
export function upload(file) {
  const form = new FormData();
  form.append("file", file);
  return call("files", { method: "POST", headers: { "X-Stafett-CSRF": me.csrf }, body: form });
}
export const fileUrl = (id, caseId) => `/desk/files/${encodeURIComponent(id)}?case=${encodeURIComponent(caseId)}`;

/** The refusal as a sentence in the agent's language. */
export function reason(error) {
  if (!(error instanceof Refusal)) return t("desk_error");
  switch (error.code) {
    case "taken": return t("taken_by", { agent: error.agent });
    case "errand_ended": return t("errand_ended");
    case "errand_not_yours": return t("errand_not_yours", { agent: error.agent });
    case "no_case": return t("refused_no_case");
    case "same_customer": return t("refused_same");
    case "too_late_to_part": return t("too_late_to_part");
    case "wrote_meanwhile": return t("refused_wrote_meanwhile");
    case "over": return t("refused_over");
    case "claim_first": return t("refused_claim_first");
    case "conflict": return error.detail || t("desk_changed");
    case "signed_out": case "stale_page": return t("desk_signed_out");
    default: return error.detail || t("desk_error");
  }
}

export const kept = {
  get(name, otherwise = null) {
    try { return JSON.parse(localStorage.getItem("stafett-desk:" + name)) ?? otherwise; } catch { return otherwise; }
  },
  set(name, value) {
    try { localStorage.setItem("stafett-desk:" + name, JSON.stringify(value)); } catch { /* full or forbidden */ }
  },
};
export const uuid = () => crypto.randomUUID?.() ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
  (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16));

export const nameOf = (row) => row.customer.name || t("desk_visitor", { number: row.number ?? "" });
export const channelName = (name) => name === "web" ? t("desk_site") : knows("channel_" + name) ? t("channel_" + name) : name;
