/* Low scores that somebody should look after: a bar above the desk, there only while there are any. */

import { h, moment, number } from "./dom.js";
import { channelName, get, me, nameOf, post, reason, t } from "./house.js";

const SCALE = { ces7: 7, ces7_statement: 7, csat5: 5, csat2: 1, nps: 10 }, OUTCOMES = ["solved", "apologised", "unreachable", "no_action"];
const EVERY = 15000;  // ms; a low score is told within a minute
const root = document.getElementById("alerts");
let shown = "";

async function look() {
  if (me.agent.id && !document.hidden) {
    try { paint((await get("alerts")).items); } catch { /* the desk itself tells when it has no line */ }
  }
}

function paint(items) {
  const seen = JSON.stringify(items);
  if (seen === shown) return;
  shown = seen;
  const open = root.querySelector("details")?.open;
  root.replaceChildren(items.length ? h("details", { class: "alerts", open: !!open },
    h("summary", {}, h("b", {}, t("desk_alerts")), h("span", { class: "many" }, number(items.length))),
    h("ul", {}, items.map(row))) : "");
}

function row(one) {
  const late = one.due_at && new Date(one.due_at) < Date.now(), mine = one.agent?.id === me.agent.id;
  const told = one.instrument.replace(/\d.*/, "").toUpperCase() + " " + number(one.score) + "/" + number(SCALE[one.instrument] ?? 0);
  return h("li", { class: late ? "late" : "" },
    h("div", { class: "what" }, h("b", {}, h("bdi", {}, nameOf(one))), h("span", { class: "score" }, h("bdi", {}, told)),
      one.case ? h("a", { href: "#" + one.case }, t("desk_alert_case") + " #" + (one.number ?? "")) : null,
      one.follow_up ? h("a", { href: "#" + one.follow_up }, t("desk_alert_contact_yes")) : null,
      h("small", {}, [one.channel ? channelName(one.channel) : "", t("desk_alert_due") + " " + moment(one.due_at)].filter(Boolean).join(" · ")),
      one.comment ? h("q", { dir: "auto" }, one.comment) : null),
    h("div", { class: "do" },
      one.agent ? h("small", {}, t("desk_alert_claimed", { agent: one.agent.name })) : button("desk_alert_claim", () => post(`alerts/${one.id}/claim`), true),
      one.agent && !mine ? null : OUTCOMES.map((outcome) => button("desk_alert_" + outcome, () => post(`alerts/${one.id}/close`, { outcome })))));
}

const button = (key, act, first) => h("button", { type: "button", class: "btn small" + (first ? " main" : ""), onclick: async (event) => {
  event.currentTarget.disabled = true;
  try { await act(); } catch (error) { document.getElementById("toasts").replaceChildren(h("p", { class: "toast" }, reason(error))); }
  shown = "";
  look();
} }, t(key));

setInterval(look, EVERY);
addEventListener("focus", look);
(function first() { me.agent.id ? look() : setTimeout(first, 300); })();
