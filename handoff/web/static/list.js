/* The left column: views, and the cases in each. */

import { clock, face, h, icon, shortDay, span } from "./dom.js";
import { channelName, me, nameOf, now, t } from "./house.js";

const VIEWS = ["queue", "mine", "asked", "all", "resolved"];
const WARM = 3 * 6e4, HOT = 10 * 6e4;  // a wait turns amber, then red

export function paintList(root, state, desk) {
  const keep = root.querySelector(".rows")?.scrollTop ?? 0;
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  root.replaceChildren(
    h("header", { class: "top" },
      h("img", { src: "/desk/static/mark.svg", alt: "", width: 28, height: 28 }),
      h("h1", { dir: "auto" }, me.desk || t("desk_title")),
      h("button", { type: "button", class: "profile", "data-key": "profile", "aria-haspopup": "menu", "aria-label": t("desk_profile"), title: t("desk_profile"), onclick: desk.profile },
        face(me.agent.name, "agent"), h("i", { class: me.agent.available ? "dot on" : "dot" }))),
    h("nav", { class: "tabs", role: "tablist", "aria-label": t("desk_cases") }, VIEWS.filter((view) => view !== "asked" || state.counts.asked || state.view === view).map((view) =>
      h("button", { type: "button", role: "tab", "data-key": view, "aria-selected": String(view === state.view), tabindex: view === state.view ? 0 : -1, onclick: () => desk.show(view), onkeydown: arrows },
        h("span", {}, t("desk_" + view)), state.counts[view] ? h("b", { class: view === "queue" ? "count hot" : "count" }, String(state.counts[view])) : null))),
    state.items.length
      ? h("div", { class: "rows", role: "listbox", "aria-label": t("desk_" + state.view) }, state.items.map((row) => item(row, state, desk)))
      : empty(state));
  const rows = root.querySelector(".rows");
  if (rows) rows.scrollTop = keep;
  if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function arrows(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...event.currentTarget.parentNode.children], turn = document.documentElement.dir === "rtl" ? -1 : 1;
  const next = tabs[(tabs.indexOf(event.currentTarget) + step * turn + tabs.length) % tabs.length];
  next.click();
}

export function isUnread(row, state) {
  return row.last?.by === "customer" && row.id !== state.id && !row.over && row.status !== "bot" && (state.seen[row.id] || "") < row.last.at;
}

function item(row, state, desk) {
  const name = nameOf(row), unread = isUnread(row, state);
  const said = row.last && (row.last.by === "customer" ? "" : (row.last.by === "bot" ? t("author_bot") : row.last.name === me.agent.name ? t("desk_you") : row.last.name || t("author_agent")) + ": ");
  return h("button", { type: "button", role: "option", class: `row ${unread ? "unread" : ""} ${row.status}`, "data-key": row.id, "aria-selected": String(row.id === state.id), onclick: () => desk.open(row.id) },
    h("span", { class: "who" }, face(row.customer.name), h("span", { class: "via", title: channelName(row.channel) }, icon(row.channel))),
    h("span", { class: "line" }, h("bdi", { class: "name" }, name), unread ? h("span", { class: "sr" }, ` (${t("desk_unread")})`) : null, wait(row)),
    h("span", { class: "said", dir: "auto" }, said, row.last?.text || ""),
    h("span", { class: "tags" },
      row.priority === "urgent" || row.priority === "high" ? h("span", { class: "tag " + row.priority }, t("desk_" + row.priority)) : null,
      state.view !== "queue" && state.view !== "mine" && !row.over ? h("span", { class: "tag st " + row.status }, t("status_" + row.status)) : null,
      state.view === "mine" && row.status !== "open" ? h("span", { class: "tag st " + row.status }, row.snoozed_until ? t("desk_snoozed", { time: shortDay(row.snoozed_until) }) : t("status_" + row.status)) : null,
      row.over && row.outcome ? h("span", { class: "tag" }, t("outcome_" + row.outcome)) : null,
      row.agent && state.view === "all" ? h("span", { class: "tag" }, row.mine ? t("desk_yours") : h("bdi", {}, row.agent.name)) : null,
      h("span", { class: "tag quiet" }, row.locale.split("-")[0].toUpperCase()),
      row.team && me.teams.length > 1 ? h("span", { class: "tag quiet" }, h("bdi", {}, row.team)) : null,
      row.topic ? h("span", { class: "tag quiet" }, h("bdi", {}, row.topic)) : null));
}

/** How long the customer waits, counted on by `tick`; or when they were last heard. */
function wait(row) {
  if (row.waiting_since) return h("time", { class: "wait", "data-since": row.waiting_since, datetime: row.waiting_since, title: t("desk_waits", { time: clock(row.waiting_since) }) });
  const at = row.resolved_at || row.last?.at || row.opened_at;
  return h("time", { class: "at", datetime: at }, shortDay(at));
}

export function tick() {
  for (const node of document.querySelectorAll("[data-since]")) {
    const ms = now() - new Date(node.dataset.since);
    node.textContent = span(ms);
    node.classList.toggle("warm", ms > WARM && ms <= HOT);
    node.classList.toggle("hot", ms > HOT);
  }
  for (const node of document.querySelectorAll("[data-due]")) {
    const ms = new Date(node.dataset.due) - now();
    node.textContent = t(ms < 0 ? "desk_overdue" : "desk_due", { time: span(Math.abs(ms)) });
    node.classList.toggle("hot", ms < 0);
  }
}

function empty(state) {
  const first = me.demo && !state.counts.all && state.view !== "resolved";
  return h("div", { class: "empty" },
    h("span", { class: "orb" }, icon(state.view === "resolved" ? "check" : "inbox")),
    h("b", {}, t("desk_empty_" + state.view)),
    h("p", {}, t(`desk_empty_${state.view}_text`)),
    first ? h("a", { class: "btn small narrow-only", href: "/", target: "_blank", rel: "noopener" }, t("desk_try_open"), icon("ext")) : null);
}
