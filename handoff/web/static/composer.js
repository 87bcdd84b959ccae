/* Where agents write. Two modes that cannot be mistaken for each other: what goes to the customer, and what never does.
   What was begun is kept per case and mode, in this browser, until it is sent. */

import { toast } from "./dialogs.js";
import { h, icon, span, tongue } from "./dom.js";
import { kept, me, nameOf, now, post, reason, t, upload, uuid } from "./house.js";
import { openMacros } from "./macros.js";
import { chip } from "./thread.js";

const FILE_LIMIT = 20 * 2 ** 20, FILES_LIMIT = 10, TEXT_LIMIT = 16000;

export class Composer {
  constructor(root, desk) {
    this.root = root;
    this.desk = desk;
    this.mode = "reply";
    this.files = [];
    this.drafts = kept.get("drafts", {});
    this.whole = null;
  }

  /** Shows what there is to write in this case. The text box stays the same element, with its caret. */
  show(whole) {
    const other = this.whole?.case.id !== whole.case.id;
    this.whole = whole;
    if (other) {
      this.files = [];
      this.mode = "reply";
      this.build();
    } else if (this.mine !== whole.case.mine) {
      this.build();
    }
    this.mine = whole.case.mine;
    this.paintUndo();
    this.paintLock();
  }

  locked() { return !this.whole.case.mine; }

  build() {
    const id = this.whole.case.id;
    this.text = h("textarea", { rows: 1, dir: "auto", maxlength: TEXT_LIMIT, oninput: () => this.typed(), onkeydown: (event) => this.key(event), onpaste: (event) => this.pasted(event) });
    this.text.value = this.drafts[id]?.[this.mode] || "";
    this.undo = h("div", { class: "undo", role: "status", hidden: true });
    this.lock = h("div", { class: "lockline", hidden: true });
    this.note = h("p", { class: "atit", role: "status", hidden: true });
    this.wrong = h("p", { class: "wrong", role: "alert", hidden: true });
    this.again_ = h("div", { class: "again", role: "alert", hidden: true });
    this.tip = h("p", { class: "tip", role: "status", hidden: true });
    this.tray = h("div", { class: "tray", hidden: true });
    this.button = h("button", { type: "button", class: "btn send", onclick: () => this.send(false) });
    const picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => { this.take(picker.files); picker.value = ""; } });
    const tab = (mode, name, key) => h("button", { type: "button", role: "tab", class: mode, title: `${t("desk_mode_" + mode)} (${key})`, "aria-selected": String(this.mode === mode), onclick: () => this.switch(mode) }, icon(name), t("desk_mode_" + mode));
    this.root.replaceChildren(this.undo, this.note, h("div", { class: "box", ondragover: (event) => { event.preventDefault(); this.root.classList.add("drop"); }, ondragleave: () => this.root.classList.remove("drop"), ondrop: (event) => { event.preventDefault(); this.root.classList.remove("drop"); this.take(event.dataTransfer.files); } },
      h("div", { class: "modes", role: "tablist" }, tab("reply", "send", "R"), tab("note", "lock", "N")),
      this.lock, this.tray, h("div", { class: "write" }, this.text), this.tip, this.again_, this.wrong,
      h("div", { class: "foot" }, h("button", { type: "button", class: "tool", "aria-label": t("desk_attach"), title: t("desk_attach"), onclick: () => picker.click() }, icon("clip")), picker,
        h("button", { type: "button", class: "tool saved", "aria-label": t("desk_macro_tip"), title: t("desk_macro_tip"), onclick: () => this.macros() }, icon("file")),
        h("small", { class: "hint" }), this.button)));
    this.paintMode();
    this.paintLock();
    this.paintTray();
    this.grow();
  }

  paintMode() {
    this.root.dataset.mode = this.mode;
    for (const tab of this.root.querySelectorAll(".modes button")) tab.setAttribute("aria-selected", String(tab.classList.contains(this.mode)));
    const words = this.mode === "reply" ? t("desk_write_reply", { name: nameOf(this.whole.case) }) : t("desk_write_note");
    this.text.placeholder = words;
    this.text.setAttribute("aria-label", this.mode === "reply" ? t("desk_mode_reply") : t("desk_mode_note"));
    this.button.replaceChildren(this.mode === "reply" ? t("button_send") : t("desk_add_note"));
    this.root.querySelector(".hint").textContent = this.mode === "note" ? t("desk_note_hidden") : t("desk_enter");
  }

  paintLock() {
    const row = this.whole.case, shut = this.mode === "reply" && this.locked();
    this.lock.hidden = !shut;
    this.root.classList.toggle("shut", shut);
    this.text.disabled = this.button.disabled = shut;
    if (!shut) return;
    const key = row.over ? "desk_lock_over" : row.agent ? "desk_lock_held" : row.status === "bot" ? "desk_lock_bot" : "desk_lock_queue";
    this.lock.replaceChildren(h("span", { dir: "auto" }, t(key, { agent: row.agent?.name || "" })),
      row.over || row.agent ? h("button", { type: "button", class: "btn small", onclick: () => this.switch("note") }, t("desk_mode_note"))
        : h("button", { type: "button", class: "btn small primary", onclick: () => this.desk.act("claim") }, t("button_claim")));
  }

  switch(mode, focus = true) {
    if (mode !== this.mode) {
      this.keep();
      this.mode = mode;
      this.again_.hidden = true;
      this.text.value = this.drafts[this.whole.case.id]?.[mode] || "";
    }
    this.paintMode();
    this.paintLock();
    this.grow();
    if (focus) this.text.focus();
  }

  keep() {
    const id = this.whole.case.id, rest = { ...this.drafts[id], [this.mode]: this.text.value };
    if (Object.values(rest).some(Boolean)) this.drafts[id] = rest;
    else delete this.drafts[id];
    kept.set("drafts", this.drafts);
  }

  typed() {
    this.grow();
    this.keep();
    this.fail("");
    this.lookSoon();
    const at = Date.now();
    if (this.text.value && at - (this.told || 0) > 3000) {
      this.told = at;
      post(`cases/${this.whole.case.id}/typing`, { note: this.mode === "note" }).catch(() => {});
    }
  }

  grow() {
    this.text.dir = this.text.value ? "auto" : document.documentElement.dir;  // an empty box reads like the page
    this.text.style.height = "auto";
    this.text.style.height = Math.min(this.text.scrollHeight, 220) + "px";
  }

  key(event) {
    if (event.key === "/" && !this.text.value && this.mode === "reply") {
      event.preventDefault();
      this.macros();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.send();
    } else if (event.key === "Escape") this.text.blur();
  }

  pasted(event) {
    const files = [...event.clipboardData.files];
    if (files.length) { event.preventDefault(); this.take(files); }
  }

  /** Saved replies: what is picked goes into the box, at the caret. */
  macros() {
    if (this.mode !== "reply") this.switch("reply");
    if (this.text.disabled) return;
    openMacros(this.root, this.whole.case.id, (words) => {
      const { selectionStart: from, selectionEnd: to, value } = this.text;
      this.text.value = value.slice(0, from) + words + value.slice(to);
      this.text.focus();
      this.text.setSelectionRange(from + words.length, from + words.length);
      this.typed();
    }, () => this.text.focus());
  }

  /** Below the words, once they rest: what they are written in, where that seems not to be the customer's language. */
  lookSoon() {
    clearTimeout(this.looking);
    this.tip.hidden = true;
    const id = this.whole.case.id, words = this.text.value;
    if (this.mode !== "reply" || words.trim().length < 12) return;
    this.looking = setTimeout(async () => {
      const found = await post(`cases/${id}/look`, { text: words }).catch(() => ({}));
      if (this.whole.case.id !== id || this.text.value !== words || !found.seems) return;
      this.tip.replaceChildren(icon("info"), t("tip_language", { theirs: tongue(found.customer), seems: tongue(found.seems) }));
      this.tip.hidden = false;
    }, 900);
  }

  /** Words that should be looked at again: nothing was sent. */
  warn(warnings) {
    const kinds = [...new Set(warnings.map((one) => one.kind))];
    const told = kinds.map((kind) => t("warn_" + kind, { what: warnings.filter((one) => one.kind === kind).map((one) => one.what).join(", ") }));
    const shut = () => { this.again_.hidden = true; this.text.focus(); };
    this.again_.replaceChildren(icon("warn"), h("p", { dir: "auto" }, [t("held_waits"), ...told].join(" ")),
      h("button", { type: "button", class: "btn small primary", onclick: shut }, t("button_edit").replace("…", "")),
      h("button", { type: "button", class: "btn small", onclick: () => { this.again_.hidden = true; this.send(true); } }, t("button_send_anyway")));
    this.again_.hidden = false;
    this.again_.querySelector("button").focus();
  }

  fail(words) { this.wrong.textContent = words; this.wrong.hidden = !words; this.again_.hidden = true; }

  async take(list) {
    for (const file of [...list].slice(0, FILES_LIMIT - this.files.length)) {
      if (file.size > FILE_LIMIT) { this.fail(t("desk_file_large", { name: file.name })); continue; }
      const item = { name: file.name, size: file.size, busy: true };
      this.files.push(item);
      this.paintTray();
      try { Object.assign(item, await upload(file), { busy: false }); } catch (error) {
        this.files = this.files.filter((one) => one !== item);
        this.waits = "";
        this.fail(error.code === "file_refused" ? t("desk_file_refused", { name: file.name }) : reason(error));
      }
      this.paintTray();
    }
    if (this.waits && this.waits === this.place()) this.send();
  }

  place() { return `${this.whole.case.id} ${this.mode}`; }

  paintTray() {
    this.tray.hidden = !this.files.length;
    this.tray.replaceChildren(...this.files.map((file) => chip(file, h("button", { type: "button", class: "tool", "aria-label": t("desk_remove", { name: file.name }), onclick: () => { this.files = this.files.filter((one) => one !== file); this.paintTray(); } }, icon(file.busy ? "clock" : "close")))));
  }

  async send(anyway = false) {
    const text = this.text.value, files = [...this.files];
    if ((!text.trim() && !files.length) || this.text.disabled) return;
    this.waits = files.some((file) => file.busy) ? this.place() : "";  // it leaves when its files are here
    if (this.waits) return;
    if (this.sending) { this.again = true; return; }  // who types fast is sent after what is on its way
    const id = this.whole.case.id, mode = this.mode;
    // The same words again after a failure keep their name: what did arrive the first time is not said twice.
    const wish = JSON.stringify([id, mode, text, files.map((file) => file.id)]);
    if (this.wish !== wish) [this.wish, this.ref] = [wish, uuid()];
    this.sending = true;
    this.button.disabled = true;
    try {
      const answer = await post(`cases/${id}/${mode}`, { ref: this.ref, text, files: files.map((file) => file.id), ...(anyway && mode === "reply" ? { anyway } : {}) });
      this.wish = null;
      this.went(id, mode, text, files);
      this.desk.sent(id, answer);
    } catch (error) {
      this.again = false;
      // Meanwhile another case, or other words, may stand here: "send anyway" would mean those.
      const here = this.whole.case.id === id && this.mode === mode && this.text.value === text;
      if (error.code === "look_again") return here ? this.warn(error.warnings) : toast(t("held_waits"), "bad");
      if (this.whole.case.id === id) this.fail(reason(error));
      else toast(reason(error), "bad");
      this.desk.refresh();
    } finally {
      this.sending = false;
      this.paintLock();
    }
    if (this.again) { this.again = false; this.send(); }
  }

  /** Takes away what has gone out, and leaves what was typed since. */
  went(id, mode, text, files) {
    const here = this.whole.case.id === id, rest = (held) => (held.startsWith(text) ? held.slice(text.length).replace(/^\n/, "") : held);
    if (here) {
      this.files = this.files.filter((file) => !files.includes(file));
      this.paintTray();
    }
    if (here && this.mode === mode) {
      this.text.value = rest(this.text.value);
      this.keep();
      this.grow();
      this.fail("");
    } else if (this.drafts[id]?.[mode]) {
      this.drafts[id][mode] = rest(this.drafts[id][mode]);
      kept.set("drafts", this.drafts);
    }
  }

  // ── the undo window ──
  waiting() { return this.whole.relays.filter((one) => one.state === "waiting" && one.by.id === me.agent.id && one.desk === "web"); }

  paintUndo() {
    const relay = this.waiting().at(-1);
    this.undo.hidden = !relay;
    if (!relay) return this.undo.replaceChildren();
    if (this.undo.dataset.relay === relay.id) return;
    this.undo.dataset.relay = relay.id;
    const line = h("i", { class: "drain" });
    line.style.animationDuration = me.undo_s + "s";
    line.style.animationDelay = Math.min(0, new Date(relay.at) - now()) + "ms";
    this.undo.replaceChildren(line, h("span", { class: "left", "data-until": relay.due_at, "data-long": "yes" }),
      h("button", { type: "button", class: "btn small", onclick: () => this.desk.takeBack(relay, false) }, icon("undo"), t("button_undo")),
      h("button", { type: "button", class: "btn small", onclick: () => this.desk.takeBack(relay, true) }, icon("lock"), t("desk_make_note")));
    count();
  }

  /** Words that were taken back stand in the box again, above what is there. */
  restore(text) {
    if (this.mode !== "reply") this.switch("reply");
    this.text.value = [text, this.text.value].filter(Boolean).join("\n");
    this.keep();
    this.grow();
    this.text.focus();
  }

  atIt(name) {
    clearTimeout(this.gone);
    this.note.textContent = t("desk_at_it", { name });
    this.note.hidden = false;
    this.gone = setTimeout(() => { this.note.hidden = true; }, 6000);
  }
}

/** Counts the seconds that are left, wherever they are shown. */
export function count() {
  for (const node of document.querySelectorAll("[data-until]")) {
    const seconds = Math.ceil((new Date(node.dataset.until) - now()) / 1000);
    node.textContent = seconds > 0 ? (node.dataset.long ? t("desk_goes_out", { seconds }) : span(seconds * 1000)) : t("desk_going_out");
  }
}
