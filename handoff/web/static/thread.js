/* The middle: what was said, by whom, and what became of it. Messages in order of time, notes between them. */

import { bytes, clock, dayOf, face, h, icon, prose, sameDay } from "./dom.js";
import { channelName, fileUrl, me, nameOf, now, t } from "./house.js";

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const CLOSE = 5 * 6e4;  // within it, words of the same person share a name and a face

const drawn = new WeakMap();  // log → what stands in it, by what it was made of: what did not change is not touched

export function paintThread(root, whole, desk) {
  const low = root.scrollHeight - root.scrollTop - root.clientHeight < 80;
  const height = root.scrollHeight, fresh = root.dataset.case !== whole.case.id;
  const growing = root.dataset.limit && root.dataset.limit !== String(desk.limit) && !fresh;
  const nodes = [], old = drawn.get(root) || new Map(), made = new Map();
  const once = (what, make) => {
    const key = JSON.stringify(what), node = old.get(key) || make();
    made.set(key, node);
    nodes.push(node);
  };
  if (whole.more) nodes.push(h("button", { type: "button", class: "btn small more", onclick: desk.earlier }, t("desk_earlier")));
  let before = null, chapter = null;
  const last = whole.relays.filter((relay) => relay.state === "waiting" && relay.by.id === me.agent.id).at(-1);  // its buttons stand above the composer
  for (const one of entries(whole)) {
    if (!before || !sameDay(before.at, one.at)) {
      const day = dayOf(one.at, now());
      once(["day", day], () => h("div", { class: "day" }, h("span", {}, day)));
      before = null;
    }
    if (chapter && one.case && chapter !== one.case && one.by === "customer" && !one.note) nodes.push(h("div", { class: "chapter" }));
    chapter = one.case || chapter;
    const together = before && before.by === one.by && before.note === one.note && before.author.name === one.author.name && new Date(one.at) - new Date(before.at) < CLOSE && !before.relay;
    const stale = one.delivery?.state === "pending" && now() - new Date(one.at) > 2e4;
    once([one, together, stale, one.relay === last, whole.case.channel, whole.case.customer], () => (one.relay ? pending(one, desk, one.relay === last) : message(one, together, whole)));
    before = one;
  }
  if (desk.typing) nodes.push(h("div", { class: "msg customer typing", role: "status", "aria-label": t("desk_typing", { name: nameOf(whole.case) }) }, face(whole.case.customer.name), h("div", { class: "bubble dots" }, h("i"), h("i"), h("i"))));
  put(root, nodes);
  drawn.set(root, made);
  root.dataset.case = whole.case.id;
  root.dataset.limit = String(desk.limit);
  if (growing) root.scrollTop += root.scrollHeight - height;
  else if (fresh || low) { root.scrollTop = root.scrollHeight; root.atEnd = true; }
  else desk.below();
}

/** Makes `nodes` the children of `root` and moves none that stands already: selections, focus and pictures stay. */
function put(root, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...root.children]) if (!wanted.has(child)) child.remove();
  let at = root.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else root.insertBefore(node, at);
  }
}

/** Messages and what is on its way, as one line of time. */
function entries(whole) {
  const relays = whole.relays.map((relay) => ({ relay, at: relay.at, by: "agent", note: false, author: relay.by, files: relay.files, case: whole.case.id }));
  return [...whole.messages, ...relays].map((one, n) => [one, n]).sort(([a, x], [b, y]) => (a.at < b.at ? -1 : a.at > b.at ? 1 : x - y)).map(([one]) => one);
}

function message(one, together, whole) {
  if (one.by === "system" && !one.note) return h("div", { class: "msg system" }, prose(one.text), h("time", { datetime: one.at }, clock(one.at)));
  const kind = one.note ? "note" : one.by, mine = one.author.id && one.author.id === me.agent.id;
  const name = one.by === "customer" ? nameOf(whole.case) : one.by === "bot" ? t("author_bot") : one.by === "system" ? t("author_system") : mine ? t("desk_you") : one.author.name || t("author_agent");
  return h("article", { class: `msg ${kind} ${together ? "cont" : ""} ${one.deleted ? "gone" : ""} ${one.delivery?.state === "failed" ? "failed" : ""}`, "data-id": one.id },
    face(one.by === "customer" ? whole.case.customer.name : one.author.name, one.note ? "notes" : one.by),
    h("div", { class: "head" }, h("bdi", { class: "name" }, name), one.note ? h("span", { class: "label" }, icon("lock"), one.not_said ? t("desk_kept_as_note") : t("desk_note")) : null),
    one.deleted ? h("div", { class: "bubble" }, t("desk_deleted"))
      : one.text || one.html ? h("div", { class: "bubble" }, one.pressed ? h("span", { class: "press", title: t("desk_pressed") }, icon("check")) : null, prose(one.text, one.html)) : null,
    one.survey ? h("div", { class: "picks" }, h("span", {}, `${t("desk_survey")} · ${one.survey.min}–${one.survey.max}`)) : null,
    one.choices.length ? h("div", { class: "picks" }, one.choices.map((label) => h("span", { dir: "auto" }, label))) : null,
    one.files.map((file) => attached(file, whole.case.id)),
    h("div", { class: "meta" }, one.channel !== whole.case.channel && !one.note && one.by === "customer" ? h("span", { class: "tag quiet" }, channelName(one.channel)) : null,
      h("time", { datetime: one.at }, clock(one.at)), one.edited && !one.deleted ? h("span", {}, t("desk_edited")) : null, delivery(one)));
}

function delivery(one) {
  if (!one.delivery || one.note || one.deleted || one.by === "system") return null;
  const { state, fault } = one.delivery;
  if (state === "sent") return h("span", { class: "mark sent", title: t("desk_delivered") }, icon("check"), h("span", { class: "sr" }, t("desk_delivered")));
  if (state === "pending") {
    if (one.by === "bot") return null;
    const words = one.channel === "web" ? t("desk_not_seen") : t("desk_on_its_way");
    return h("span", { class: "mark", title: words }, icon("clock"), one.by === "agent" && now() - new Date(one.at) > 2e4 ? words : h("span", { class: "sr" }, words));
  }
  if (state === "uncertain") return h("span", { class: "mark unsure" }, icon("question"), t("desk_uncertain"));
  return h("span", { class: "mark bad" }, icon("warn"), t("not_delivered", { reason: fault || "–" }));
}

/** An agent's words in their undo window, or taken back. */
function pending({ relay, at, author }, desk, isLast) {
  const mine = author.id === me.agent.id, back = relay.state === "taken_back";
  return h("article", { class: `msg agent ${back ? "gone" : "pending"}`, "data-relay": relay.id },
    face(author.name, "agent"),
    h("div", { class: "head" }, h("bdi", { class: "name" }, mine ? t("desk_you") : author.name)),
    back ? h("div", { class: "bubble" }, t("taken_back")) : relay.text ? h("div", { class: "bubble" }, prose(relay.text)) : null,
    back ? null : relay.files.map((file) => chip(file)),
    h("div", { class: "meta" }, h("time", { datetime: at }, clock(at)), back ? null : h("span", { class: "mark" }, icon("clock"), h("span", { class: "left", "data-until": relay.due_at })),
      back || !mine || isLast || relay.desk !== "web" ? null : h("button", { type: "button", class: "link", onclick: () => desk.takeBack(relay, false) }, t("button_undo"))));
}

export const chip = (file, ...more) => h("span", { class: "chip" }, icon("file"), h("span", { class: "label" }, h("bdi", {}, file.name), h("small", {}, bytes(file.size))), more);
function attached(file, caseId) {
  const url = fileUrl(file.id, caseId);
  if (!PICTURES.has(file.type)) return h("a", { class: "chip", href: url, download: file.name }, icon("file"), h("span", { class: "label" }, h("bdi", {}, file.name), h("small", {}, bytes(file.size))));
  return h("a", { class: "pic", href: url, target: "_blank", rel: "noopener" }, h("img", { src: url, alt: file.name, loading: "lazy", onload: grown }));
}

/** A picture that arrives pushes nothing out of sight: who was at the end stays there. */
function grown(event) {
  const log = event.currentTarget.closest(".log");
  if (log?.atEnd) log.scrollTop = log.scrollHeight;
}

export function paintBar(root, whole, desk) {
  const { case: row } = whole;
  const tool = (name, label, press, more = {}) => h("button", { type: "button", class: "tool", "aria-label": label, title: label, onclick: press, ...more }, icon(name));
  const act = (label, press, kind = "", key = "") => h("button", { type: "button", class: "btn " + kind, title: key && `${label} (${key})`, onclick: press }, label);
  const held = row.agent && !row.mine;
  root.replaceChildren(
    tool("back", t("desk_back"), desk.close, { class: "tool to-list" }),
    h("div", { class: "title" }, h("h2", {}, h("bdi", {}, nameOf(row))),
      h("p", {}, h("span", { class: "tag st " + row.status }, row.snoozed_until ? t("desk_snoozed", { time: row.snoozed_until && clock(row.snoozed_until) }) : t("status_" + row.status)),
        h("span", { class: "soft" }, icon(row.channel), channelName(row.channel)),
        held ? h("span", { class: "soft" }, icon("person"), h("bdi", {}, row.agent.name)) : null,
        row.waiting_since ? h("span", { class: "soft" }, icon("clock"), h("time", { class: "wait", "data-since": row.waiting_since })) : null,
        h("span", { class: "soft no" }, "#" + (row.number ?? "")))),
    h("div", { class: "acts" },
      row.over ? null : !row.agent ? act(t("button_claim"), () => desk.act("claim"), "primary", "C") : held && row.may_act ? act(t("desk_take_over"), () => desk.act("assign", { agent: me.agent.id })) : null,
      row.mine && row.status === "snoozed" ? act(t("desk_wake"), () => desk.act("wake"), "") : null,
      row.mine && !row.over ? act(t("button_resolve"), desk.resolve, "primary", "E") : null,
      !row.over && !row.may_act ? null : tool("more", t("button_more"), desk.caseMenu, { "aria-haspopup": "menu" }),
      tool("info", t("desk_details"), desk.toggleBrief, { class: "tool details", "aria-pressed": "false" })));
}
