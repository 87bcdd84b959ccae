/* The desk: what is looked at, what is read when, and what keys do.
   The page keeps no truth of its own: a hint, a tick or an answer makes it read again what it shows. */

import { Composer, count } from "./composer.js";
import { askBlock, askMerge, askResolve, askSnooze, askTransfer, menu, toast } from "./dialogs.js";
import { h, icon, setLocale } from "./dom.js";
import { get, kept, me, nameOf, now, post, reason, Refusal, setWords, t } from "./house.js";
import { isUnread, paintList, tick } from "./list.js";
import { paintBrief } from "./brief.js";
import { openSheet } from "./sheets.js";
import { paintBar, paintThread } from "./thread.js";

const NAMES = { en: "English", nl: "Nederlands", nb: "Norsk", he: "עברית" };
const PAGE = 150;
const $ = (id) => document.getElementById(id);
const state = { view: kept.get("view", "queue"), items: [], counts: {}, id: null, whole: null, seen: kept.get("seen", {}), known: null };
const typed = new Map(); // a case → what was agreed to in its form for ending it, and refused

const desk = {
  limit: PAGE,
  typing: false,

  // ── looking ──
  async show(view) {
    state.view = view;
    kept.set("view", view);
    await readList();
  },

  async open(id, focus = true) {
    if (state.id === id && state.whole) return showCase(focus);
    state.id = id;
    state.whole = null;
    desk.limit = PAGE;
    desk.typing = false;
    if (location.hash.slice(1) !== id) history[location.hash ? "replaceState" : "pushState"](null, "", "#" + id);
    document.body.dataset.at = "case";
    paintList($("list"), state, desk);
    tick();
    await readCase();
    showCase(focus);
  },

  close() {
    state.id = state.whole = null;
    document.body.dataset.at = "list";
    document.body.classList.remove("briefed");
    history.replaceState(null, "", location.pathname);
    paint();
  },

  async earlier() {
    desk.limit *= 4;
    await readCase();
  },

  below() { $("case").querySelector(".newer")?.removeAttribute("hidden"); },
  toggleBrief() { document.body.classList.toggle("briefed"); },
  refresh: () => Promise.all([readList(), readCase()]),

  // ── doing ──
  /** After a claim the reply box is at hand; `write`: with the caret in it. */
  async act(verb, body, write = matchMedia("(hover: hover)").matches) {
    if (!state.id) return false;
    const id = state.id;
    try {
      await post(`cases/${id}/${verb}`, body);
      if (verb === "claim" && state.view === "queue") state.view = "mine";
      await desk.refresh();
      if (state.id === id && (verb === "claim" || verb === "assign")) composer.switch(state.whole?.case.mine ? "reply" : "note", write);
      return true;
    } catch (error) {
      toast(reason(error), "bad");
      await desk.refresh();
      return false;
    }
  },

  async resolve() {
    const seen = state.whole.messages.filter((one) => one.by === "customer").at(-1)?.id;
    const { case: row } = state.whole;
    const answer = await askResolve(row, typed.get(row.id));
    if (!answer) return;
    typed.set(row.id, answer); // refused, it stands in the form again: they were to read, not to write it twice
    if (await desk.act("resolve", { ...answer, seen })) {
      typed.delete(row.id);
      if (answer.topic && !me.topics.includes(answer.topic)) me.topics.unshift(answer.topic);
      toast(t("status_resolved"));
    }
  },

  async snooze() {
    const answer = await askSnooze();
    if (answer) await desk.act("snooze", answer);
  },

  async pass() {
    const answer = await askTransfer(state.whole.case);
    if (answer) await desk.act(answer.verb, answer.body);
  },

  async merge() {
    const answer = await askMerge();
    if (answer && await desk.act("merge", answer)) toast(t("more_done"));
  },

  async block() {
    if (await askBlock(nameOf(state.whole.case)) && await desk.act("block")) toast(t("card_blocked"));
  },

  caseMenu(event) {
    const { case: row, merged } = state.whole;
    const person = [
      { label: t("desk_sheet_label"), icon: "check", press: () => openSheet("label", { number: String(row.number ?? "") }) },
      merged ? { label: t("button_part"), icon: "undo", press: () => desk.act("part") } : { label: t("button_merge"), icon: "person", press: desk.merge },
      row.blocked ? { label: t("button_unblock"), icon: "check", press: () => desk.act("unblock") } : { label: t("button_block"), icon: "lock", press: desk.block },
    ];
    if (row.over) return menu(event.currentTarget, person);
    menu(event.currentTarget, [
      row.mine ? null : { label: t("button_resolve"), icon: "check", press: desk.resolve },
      row.mine ? { label: t("button_snooze"), icon: "moon", press: desk.snooze } : null,
      { label: t("button_transfer"), icon: "swap", press: desk.pass },
      row.mine && row.status === "open" ? { label: t("button_await"), icon: "clock", press: () => desk.act("await-customer") } : null,
      row.agent ? { label: t("button_release"), icon: "undo", press: () => desk.act("release") } : null,
      ...person,
    ]);
  },

  async sent(id) {
    if (state.id === id) {
      await readCase();
      const log = $("case").querySelector(".log");
      if (log) log.scrollTop = log.scrollHeight;
    }
    readList();
  },

  async takeBack(relay, asNote) {
    const id = state.id, ref = relay.ref.split(":").at(-1);
    try {
      const { gone } = await post(`cases/${id}/take-back`, { ref, as_note: asNote });
      if (!gone) toast(t("too_late_to_undo"), "bad");
      else if (!asNote && state.id === id) composer.restore(relay.text);
    } catch (error) { toast(reason(error), "bad"); }
    await readCase();
  },

  // ── oneself ──
  profile(event) {
    menu(event.currentTarget, [
      h("p", { class: "me" }, h("b", {}, h("bdi", {}, me.agent.name)), h("small", {}, me.desk || t("desk_title"))),
      { label: t("desk_here"), icon: "check", checked: me.agent.available && !me.agent.busy, press: () => available(!me.agent.available || me.agent.busy) },
      { label: t("home_busy"), icon: "clock", checked: Boolean(me.agent.busy), press: () => available(true, !me.agent.busy) },
      "Notification" in window ? { label: t("desk_notify"), icon: "bell", checked: notifies(), press: toggleNotify } : null,
      h("hr"),
      { label: t("desk_sheet_talk"), icon: "person", press: () => openSheet("talk", { number: String(state.whole?.case.number ?? "") }) },
      { label: t("desk_sheet_pulse"), icon: "clock", press: () => openSheet("pulse") },
      { label: t("desk_sheet_review"), icon: "check", press: () => openSheet("review") },
      h("p", { class: "head" }, t("desk_language")),
      ...Object.entries(NAMES).map(([tag, name]) => ({ label: name, checked: tag === document.documentElement.lang, press: () => speak(tag, true) })),
      me.demo ? null : h("hr"),
      me.demo ? null : { label: t("desk_sign_out"), icon: "out", press: signOut },
    ]);
  },
};

// ── reading ──
// A button that is painted anew between the press and its release would swallow the click.
let pressed = null, release = () => {};
addEventListener("pointerdown", () => { pressed = new Promise((done) => { release = done; }); }, true);
for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => setTimeout(() => { release(); pressed = null; }), true);

let reading = 0;
async function readList() {
  const turn = ++reading, view = state.view;
  try {
    const found = await get("cases?view=" + view);
    if (turn !== reading) return;
    state.items = found.items;
    state.counts = found.counts;
    await noticeNew(view, found.items);
    await pressed;
    online(true);
    paintList($("list"), state, desk);
    if (!state.id) paintCase();
    title();
    tick();
  } catch (error) { lost(error); }
}

async function readCase() {
  const id = state.id;
  if (!id) return;
  try {
    const found = await get(`cases/${id}?limit=${desk.limit}`);
    await pressed;
    if (state.id !== id) return;
    const before = state.whole && JSON.stringify(shownOf(state.whole));
    const said = (whole) => whole?.messages.filter((one) => one.by === "customer").at(-1)?.id;
    if (said(state.whole) !== said(found)) desk.typing = false;  // what they typed is here, whoever was told of it
    state.whole = found;
    online(true);
    markSeen();
    if (before !== JSON.stringify(shownOf(found))) paintCase();
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return desk.close();
    lost(error);
  }
}

const shownOf = ({ case: row, brief, messages, relays, errands, hints }) => [row, brief, messages, relays, errands, hints];

function markSeen() {
  const last = state.whole?.messages.filter((one) => one.by === "customer").at(-1);
  if (!last || document.hidden || state.seen[state.id] === last.at) return;
  state.seen[state.id] = last.at;
  const entries = Object.entries(state.seen).sort(([, a], [, b]) => (a < b ? 1 : -1)).slice(0, 500);
  kept.set("seen", state.seen = Object.fromEntries(entries));
}

function lost(error) {
  if (error instanceof Refusal && (error.status === 401 || error.code === "stale_page")) return location.reload();
  online(false);
}

function online(yes) {
  const strip = document.querySelector(".strip.net");
  if (yes) strip?.remove();
  else if (!strip) $("strips").append(h("p", { class: "strip net", role: "status" }, t("desk_offline")));
}

// ── showing ──
let composer = null;
function paint() {
  paintList($("list"), state, desk);
  paintCase();
  title();
  tick();
}

function paintCase() {
  const root = $("case");
  document.body.classList.toggle("open", Boolean(state.id));
  if (!state.id) {
    root.replaceChildren(welcome());
    composer = null;
    paintBrief($("brief"), null, desk);
    return;
  }
  if (!state.whole) return root.classList.add("loading");
  root.classList.remove("loading");
  if (!composer || !root.querySelector(".composer")) {
    const box = h("footer", { class: "composer" });
    composer = new Composer(box, desk);
    root.replaceChildren(h("header", { class: "bar" }),
      h("div", { class: "log", role: "log", tabindex: 0, "aria-label": t("desk_conversation"), onscroll: (event) => { const log = event.currentTarget; log.atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80; if (log.atEnd) root.querySelector(".newer").hidden = true; } }),
      h("button", { type: "button", class: "newer", hidden: true, onclick: () => { const log = root.querySelector(".log"); log.scrollTop = log.scrollHeight; } }, t("desk_newer"), icon("down")), box);
  }
  const log = root.querySelector(".log");
  if (log.dataset.case !== state.id) root.querySelector(".newer").hidden = true;
  const focused = root.querySelector(".bar").contains(document.activeElement);
  paintBar(root.querySelector(".bar"), state.whole, desk);
  if (focused) log.focus({ preventScroll: true });
  composer.show(state.whole);
  paintThread(log, state.whole, desk);
  paintBrief($("brief"), state.whole, desk);
  tick();
  count();
}

function showCase(focus) {
  if (focus && composer && matchMedia("(min-width: 900px)").matches && !composer.text.disabled) composer.text.focus({ preventScroll: true });
}

function welcome() {
  const step = (n) => h("li", {}, t("desk_try_" + n));
  const newcomer = me.demo && !state.counts.queue && !state.counts.mine;
  return h("div", { class: "welcome" }, h("img", { src: "/desk/static/mark.svg", alt: "", width: 60, height: 60 }),
    newcomer ? [h("h2", {}, t("desk_try")), h("ol", {}, [1, 2, 3].map(step)), h("a", { class: "btn primary big", href: "/", target: "_blank", rel: "noopener" }, t("desk_try_open"), icon("ext"))]
      : [h("h2", {}, t("desk_pick")), h("p", {}, t("desk_pick_text"))]);
}

function title() {
  const waiting = (state.counts.queue || 0) + state.items.filter((row) => row.mine && isUnread(row, state)).length;
  document.title = (waiting ? `(${waiting}) ` : "") + (state.whole ? nameOf(state.whole.case) + " · " : "") + (me.desk || t("desk_title"));
}

// ── new cases ──
async function noticeNew(view, items) {
  const queue = view === "queue" ? items : (state.counts.queue ? (await get("cases?view=queue")).items : []);
  const ids = new Set(queue.map((row) => row.id));
  if (state.known) for (const row of queue) if (!state.known.has(row.id)) notify(row);
  state.known = ids;
}
const notifies = () => kept.get("notify", false) && Notification.permission === "granted";
function notify(row) {
  if (!document.hidden || !("Notification" in window) || !notifies()) return;
  const shown = new Notification(t("desk_new_case", { name: nameOf(row) }), { body: row.last?.text || "", tag: row.id, icon: "/desk/static/mark.svg" });
  shown.onclick = () => { focus(); desk.open(row.id); shown.close(); };
}
async function toggleNotify() {
  if (notifies()) return kept.set("notify", false);
  if (await Notification.requestPermission() !== "granted") return toast(t("desk_notify_no"), "bad");
  kept.set("notify", true);
}

async function available(yes, busy = false) {
  try {
    const { available: here, busy: atWork } = await post("availability", { available: yes, busy });
    Object.assign(me.agent, { available: here, busy: atWork });
    toast(t(busy ? "home_busy" : yes ? "desk_here" : "desk_away"));
    paintList($("list"), state, desk);
    tick();
  } catch (error) { toast(reason(error), "bad"); }
}
async function signOut() {
  try { await post("sign-out"); } finally { location.assign("/desk"); }
}

// ── language ──
async function speak(locale, chosen = false) {
  if (chosen) kept.set("locale", locale);
  const found = await get("texts" + (locale ? "?locale=" + locale : ""));
  setWords(found.texts);
  setLocale(found.locale);
  document.documentElement.lang = found.locale;
  document.documentElement.dir = found.dir;
  composer = null;
  $("strips").replaceChildren(me.demo && !kept.get("demo_seen", false) ? h("p", { class: "strip demo" }, icon("info"), h("span", { dir: "auto" }, t("desk_demo", { name: me.agent.name }))) : "");
  if (chosen) { $("case").replaceChildren(); paint(); }
}

// ── hints ──
let soon = null;
const wants = { list: false, case: false };
function look(what) {
  for (const one of what) wants[one] = true;
  soon ??= setTimeout(() => {
    soon = null;
    if (wants.list) readList();
    if (wants.case) readCase();
    wants.list = wants.case = false;
  }, 120);
}

function listen() {
  const events = new EventSource("/desk/api/events");
  events.onmessage = ({ data }) => {
    const hint = JSON.parse(data), here = state.whole && hint.customer === state.whole.case.customer.id;
    if (hint.kind === "typing") return here ? typing() : null;
    if (hint.kind === "at_it") return here && hint.agent !== me.agent.id ? composer?.atIt(hint.name) : null;
    if (hint.kind === "hello" || hint.kind === "look") return look(["list", "case"]);
    if (here && hint.by === "customer") desk.typing = false;
    look(here ? ["list", "case"] : ["list"]);
  };
  events.onopen = () => online(true);
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000);  // refused: the next read tells why
  };
}

let still = null;
function typing() {
  clearTimeout(still);
  const paintIt = () => { const log = $("case").querySelector(".log"); if (log && state.whole) paintThread(log, state.whole, desk); };
  if (!desk.typing) { desk.typing = true; paintIt(); }
  still = setTimeout(() => { desk.typing = false; paintIt(); }, 4500);
}

// ── keys ──
// A key that does something never moves the caret into the box as well: the next letter would go to the customer.
let claiming = Promise.resolve();
function toReply() {
  const id = state.id;
  claiming.then(() => { if (state.id === id) composer.switch("reply"); });  // who presses C and R at once means both
}
addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open], .menu") || event.target.closest("input, textarea, select")) return;
  const row = state.whole?.case;
  switch (event.key.toLowerCase()) {
    case "j": step(1); break;
    case "k": step(-1); break;
    case "c": if (row && !row.over && !row.agent) claiming = desk.act("claim", undefined, false); break;
    case "r": if (row) toReply(); break;
    case "n": if (row) composer.switch("note"); break;
    case "m": if (row) composer.macros(); break;
    case "e": if (row?.may_act) desk.resolve(); break;
    case "escape": if (document.body.classList.contains("briefed")) desk.toggleBrief(); else return; break;
    default: return;
  }
  event.preventDefault();
});
function step(by) {
  const at = state.items.findIndex((row) => row.id === state.id), next = state.items[at < 0 ? (by > 0 ? 0 : state.items.length - 1) : at + by];
  if (!next) return;
  desk.open(next.id, false);
  document.querySelector(`.row[data-key="${CSS.escape(next.id)}"]`)?.scrollIntoView({ block: "nearest" });
}

addEventListener("hashchange", () => { const id = location.hash.slice(1); if (id && id !== state.id) desk.open(id); else if (!id && state.id) desk.close(); });
addEventListener("popstate", () => { if (!location.hash && state.id) desk.close(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) desk.refresh(); });

async function begin() {
  Object.assign(me, await get("me"));
  me.skew = new Date(me.now) - Date.now();
  await speak(kept.get("locale"));
  document.body.dataset.at = "list";
  $("app").hidden = false;
  paint();
  await readList();
  if (!location.hash && state.view !== "queue" && !state.items.length) await desk.show("queue");
  if (location.hash) await desk.open(location.hash.slice(1));
  else paintCase();
  listen();
  setInterval(() => { tick(); count(); }, 1000);
  // Hints are quick but may be lost; while words wait in the undo window their end is looked for.
  setInterval(() => desk.refresh(), me.poll_s * 1000);
  setInterval(() => { if (state.whole?.relays.some((one) => one.state === "waiting" && new Date(one.due_at) < now() - 700)) readCase(); }, 1500);
}
begin().catch((error) => {
  if (error instanceof Refusal && error.status === 401) return location.reload();
  document.body.append(h("p", { class: "strip net" }, String(error.message || error)));
});
