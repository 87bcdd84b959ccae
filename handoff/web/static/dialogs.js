/* What opens over the page: dialogs (the browser's own), menus, and short words at the bottom. */

import { h, icon, moment, span } from "./dom.js";
import { me, t } from "./house.js";

const OUTCOMES = ["resolved", "no_solution", "duplicate", "abandoned", "spam"];

/** Opens a dialog; the promise gives what `read` makes of it when it is agreed to, or null. */
export function ask(title, body, agree, read) {
  return new Promise((done) => {
    const form = h("form", { method: "dialog" }, h("h2", {}, title), body, h("div", { class: "ends" },
      h("button", { type: "button", class: "btn", onclick: () => box.close() }, t("button_cancel")), agree ? h("button", { class: "btn primary" }, agree) : null));
    const box = h("dialog", { class: "dialog", "aria-label": title, onclick: (event) => event.target === box && box.close() }, form);
    let answer = null;
    form.addEventListener("submit", (event) => {
      answer = read ? read(form) : answer;
      if (answer === null) event.preventDefault();
    });
    box.addEventListener("close", () => { box.remove(); done(answer); });
    form.pick = (value) => { answer = value; box.close(); };
    document.body.append(box);
    box.showModal();
  });
}

/** `typed` is what they agreed to before, and the house refused. */
export function askResolve(row, typed = { outcome: OUTCOMES[0], topic: row.topic, reason: "" }) {
  const topics = h("datalist", { id: "topics" }, me.topics.map((topic) => h("option", { value: topic })));
  const reason = h("textarea", { name: "reason", rows: 3, dir: "auto", maxlength: 4000 }, typed.reason || "");
  const label = h("span", {}, t("resolve_reason"));
  const need = h("p", { class: "wrong", role: "alert", hidden: true }, t("refused_reason_needed"));
  const why = h("label", { class: "field", hidden: typed.outcome !== "no_solution" }, label, reason, need);
  const pick = (outcome) => h("label", { class: "option" }, h("input", { type: "radio", name: "outcome", value: outcome, checked: outcome === typed.outcome, onchange: () => { why.hidden = outcome !== "no_solution"; need.hidden = true; if (!why.hidden) reason.focus(); } }), h("span", {}, t("outcome_" + outcome)));
  return ask(t("resolve_title"), [
    h("fieldset", {}, h("legend", {}, t("resolve_outcome")), h("div", { class: "options" }, OUTCOMES.map(pick))),
    h("label", { class: "field" }, h("span", {}, t("resolve_topic"), h("small", {}, t("desk_optional"))), h("input", { name: "topic", list: "topics", maxlength: 120, dir: "auto", autocomplete: "off", value: typed.topic || "" }), topics),
    why,
  ], t("button_resolve").replace("…", ""), (form) => {
    const found = Object.fromEntries(new FormData(form));
    if (found.outcome === "no_solution" && !found.reason.trim()) {
      need.hidden = false;
      reason.focus();
      return null;
    }
    return { outcome: found.outcome, topic: found.topic.trim() || undefined, reason: found.outcome === "no_solution" ? found.reason.trim() : undefined };
  });
}

export function askSnooze() {
  const at = (days, hour) => { const time = new Date(); time.setDate(time.getDate() + days); time.setHours(hour, 0, 0, 0); return time; };
  const monday = at((8 - new Date().getDay()) % 7 || 7, 9), tomorrow = at(1, 9);
  const choices = [new Date(Date.now() + 36e5), new Date(Date.now() + 3 * 36e5), tomorrow, ...(monday - tomorrow ? [monday] : [])];
  const list = h("div", { class: "choices" }, choices.map((time, n) => h("button", { type: "button", class: "choice", onclick: (event) => event.target.closest("form").pick({ until: time.toISOString() }) },
    icon("moon"), h("span", {}, n < 2 ? t("desk_in_time", { time: span(time - Date.now() + 1000) }) : moment(time)), n < 2 ? h("small", {}, moment(time)) : null)));
  return ask(t("button_snooze"), [h("p", { class: "soft" }, t("desk_snooze_text")), list]);
}

export function askTransfer(row) {
  const others = me.agents.filter((one) => one.id !== row.agent?.id), teams = me.teams.filter((one) => one.name !== row.team);
  const choice = (name, label, small, value) => h("button", { type: "button", class: "choice", onclick: (event) => event.target.closest("form").pick(value) }, icon(name), h("bdi", {}, label), small ? h("small", {}, small) : null);
  return ask(t("desk_pass_on"), [
    others.length ? h("section", { class: "choices" }, h("h3", {}, t("desk_to_agent")), others.map((one) => choice("person", one.name, one.available ? "" : t("desk_away"), { verb: "assign", body: { agent: one.id } }))) : null,
    teams.length ? h("section", { class: "choices" }, h("h3", {}, t("desk_to_team")), teams.map((one) => choice("inbox", one.name, "", { verb: "transfer", body: { team: one.id } }))) : null,
  ].filter(Boolean));
}

export function askMerge() {
  const number = h("input", { name: "number", inputmode: "numeric", autocomplete: "off", pattern: "#?[0-9]{1,9}", required: true, dir: "ltr" });
  return ask(t("merge_title"), [h("p", { class: "soft" }, t("merge_sure")), h("label", { class: "field" }, h("span", {}, t("merge_number")), number)],
    t("button_merge_now"), () => ({ number: Number(number.value.replace("#", "")) }));
}

export const askBlock = (name) => ask(t("block_title"), [h("p", { class: "soft", dir: "auto" }, t("block_sure", { name }))], t("button_block_now"), () => true);

/** A menu under `anchor`: items are {label, icon, press, checked?} or a node. */
export function menu(anchor, items) {
  document.querySelector(".menu")?.remove();
  const shut = () => { box.remove(); removeEventListener("pointerdown", outside, true); anchor.setAttribute("aria-expanded", "false"); };
  const outside = (event) => { if (!box.contains(event.target)) shut(); };
  const box = h("div", { class: "menu", role: "menu", onkeydown: (event) => {
    const all = [...box.querySelectorAll("button")], step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") { shut(); anchor.focus(); event.stopPropagation(); }
    if (step) { event.preventDefault(); all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus(); }
  } }, items.filter(Boolean).map((one) => one instanceof Node ? one : h("button", { type: "button", role: one.checked === undefined ? "menuitem" : "menuitemcheckbox", "aria-checked": one.checked === undefined ? null : String(one.checked), onclick: () => { shut(); one.press(); } },
    one.icon ? icon(one.icon) : null, h("span", {}, one.label), one.checked ? h("span", { class: "tick" }, icon("check")) : null)));
  document.body.append(box);
  const at = anchor.getBoundingClientRect(), rtl = document.documentElement.dir === "rtl";
  box.style.top = at.bottom + 6 + "px";
  const left = rtl ? at.left : at.right - box.offsetWidth;
  box.style.left = Math.max(8, Math.min(left, innerWidth - box.offsetWidth - 8)) + "px";
  anchor.setAttribute("aria-expanded", "true");
  addEventListener("pointerdown", outside, true);
  box.querySelector("button")?.focus();
}

export function toast(words, kind = "") {
  const node = h("p", { class: "toast " + kind, dir: "auto" }, kind === "bad" ? icon("warn") : icon("check"), words);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), 5000);
}
