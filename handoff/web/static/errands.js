/* What colleagues were asked for a case: questions to teams, tasks, and what they said. Amber, like all that never reaches the customer. */

import { ask, toast } from "./dialogs.js";
import { h, icon, moment } from "./dom.js";
import { me, now, post, reason, t, uuid } from "./house.js";

const HOUR = 36e5;
const typed = new Map();  // errand → what is being written to it: the column is painted anew with every hint

/** The section of the right column; null where nothing was asked and nobody may. */
export function errandsPart(whole, desk) {
  const { case: row, errands } = whole, may = row.may_act && !row.over && row.status !== "bot";
  if (!errands.length && !may) return null;
  const others = me.teams.filter((one) => one.name !== row.team);
  return h("section", { class: "part errands" }, h("h3", {}, icon("lock"), t("desk_errands")),
    errands.map((one) => errand(one, whole, desk)),
    may ? h("div", { class: "asks" },
      others.length ? h("button", { type: "button", class: "btn small", onclick: () => consult(row, others, desk) }, t("button_consult")) : null,
      h("button", { type: "button", class: "btn small", onclick: () => task(row, desk) }, t("button_task"))) : null);
}

function errand(one, whole, desk) {
  const open = one.state === "open", late = open && new Date(one.due_at) < now();
  const said = whole.messages.filter((message) => message.errand === one.id && !message.deleted && message.by === "agent").slice(1);
  const mine = one.kind === "task" ? one.owner === me.agent.id || one.by.id === me.agent.id || me.agent.role !== "agent" : one.by.id !== me.agent.id;
  return h("article", { class: `errand ${one.state}`, "data-errand": one.id },
    h("p", { class: "to" }, h("b", {}, one.kind === "task" ? t("task_asked", { who: one.of }) : t("consult_asked", { who: one.of })),
      h("span", { class: late ? "tag urgent" : "tag quiet" }, open ? (late ? t("errand_late") : t("desk_until", { time: moment(one.due_at) })) : t("errand_" + one.state))),
    h("p", { dir: "auto" }, one.text),
    one.by.name ? h("small", {}, `${t("errand_by")} `, h("bdi", {}, one.by.name)) : null,
    said.map((message) => h("p", { class: "said", dir: "auto" }, h("b", {}, h("bdi", {}, message.author.name), ": "), message.text.includes("\n") ? message.text.slice(message.text.indexOf("\n") + 1) : message.text)),
    open ? writing(one, whole.case, mine, desk) : null);
}

function writing(one, row, mine, desk) {
  const text = h("textarea", { rows: 1, dir: "auto", maxlength: 3000, "aria-label": t("desk_errand_say"), placeholder: t("desk_errand_say"), oninput: () => typed.set(one.id, text.value) });
  text.value = typed.get(one.id) || "";
  const act = async (what) => {
    if (what !== "withdraw" && !text.value.trim()) return text.focus();
    try {
      await post(`cases/${row.id}/errand`, { errand: one.id, do: what, text: text.value, ref: uuid() });
      typed.delete(one.id);
      text.value = "";
    } catch (error) { toast(reason(error), "bad"); }
    desk.refresh();
  };
  const button = (what, words, kind = "") => h("button", { type: "button", class: "btn small " + kind, onclick: () => act(what) }, words);
  return h("div", { class: "answer" }, text, h("div", { class: "asks" },
    mine ? button("answer", t(one.kind === "task" ? "desk_errand_done" : "desk_errand_answer"), "amber") : null,
    one.kind === "task" || !mine ? button("talk", t("desk_errand_send")) : null,
    one.by.id === me.agent.id || row.mine ? button("withdraw", t("desk_errand_withdraw")) : null));
}

async function consult(row, teams, desk) {
  const answer = await ask(t("consult_form"), [
    h("label", { class: "field" }, h("span", {}, t("consult_to")), h("select", { name: "team" }, teams.map((one) => h("option", { value: one.id }, one.name)))),
    h("label", { class: "field" }, h("span", {}, t("consult_text")), h("textarea", { name: "text", rows: 4, dir: "auto", maxlength: 3000, required: true, autofocus: true })),
    h("p", { class: "soft" }, t("errand_hidden")),
  ], t("button_ask"), read);
  if (answer) await send(row, "consult", answer, desk);
}

async function task(row, desk) {
  const day = (days, hour) => { const at = new Date(now()); at.setDate(at.getDate() + days); at.setHours(hour, 0, 0, 0); return at; };
  const times = [new Date(now() + HOUR), new Date(now() + 3 * HOUR), day(1, 9), day(3, 9), day(7, 9)];
  const owners = [...me.agents].sort((a, b) => (b.id === me.agent.id) - (a.id === me.agent.id) || b.available - a.available);
  const answer = await ask(t("task_form"), [
    h("label", { class: "field" }, h("span", {}, t("task_text")), h("textarea", { name: "text", rows: 4, dir: "auto", maxlength: 3000, required: true, autofocus: true })),
    h("label", { class: "field" }, h("span", {}, t("task_owner")), h("select", { name: "owner" }, owners.map((one) => h("option", { value: one.id }, one.available ? one.name : `${one.name} (${t("desk_away").toLocaleLowerCase()})`)))),
    h("label", { class: "field" }, h("span", {}, t("errand_until")), h("select", { name: "due_at" }, times.map((at) => h("option", { value: at.toISOString() }, moment(at))))),
    h("p", { class: "soft" }, t("errand_hidden")),
  ], t("button_ask"), read);
  if (answer) await send(row, "task", answer, desk);
}

function read(form) {
  const found = Object.fromEntries(new FormData(form));
  return found.text.trim() ? found : null;
}

async function send(row, verb, body, desk) {
  try { await post(`cases/${row.id}/${verb}`, { ...body, ref: uuid() }); } catch (error) { toast(reason(error), "bad"); }
  desk.refresh();
}
