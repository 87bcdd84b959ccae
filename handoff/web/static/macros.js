/* Saved replies: searched, previewed for this case, and put into the box. Never sent from here. */

import { h, icon, tongue } from "./dom.js";
import { get, t } from "./house.js";

/** Opens above the box; `insert` takes the words that were picked. Gives the element, or null where one was open and is shut. */
export function openMacros(root, caseId, insert, back) {
  const old = root.querySelector(".macros");
  if (old) { old.remove(); back(); return null; }
  let items = [], at = 0, turn = 0;
  const list = h("div", { class: "found", role: "listbox", id: "macros-found", "aria-label": t("macros_title") });
  const preview = h("div", { class: "preview", dir: "auto", "aria-live": "polite" });
  const field = h("input", { type: "search", dir: "auto", role: "combobox", "aria-expanded": "true", "aria-controls": "macros-found", "aria-label": t("macros_title"), placeholder: t("macros_title"), autocomplete: "off", oninput: () => look(), onkeydown: key });
  const box = h("div", { class: "macros", role: "dialog", "aria-label": t("macros_title"), onfocusout: (event) => { if (event.relatedTarget && !box.contains(event.relatedTarget)) box.remove(); } },
    h("div", { class: "search" }, icon("file"), field, h("button", { type: "button", class: "tool", "aria-label": t("desk_close"), title: t("desk_close"), onclick: shut }, icon("close"))),
    h("div", { class: "both" }, list, preview));

  function shut() { box.remove(); back(); }

  async function look() {
    const mine = ++turn;
    const found = await get(`cases/${caseId}/macros?q=${encodeURIComponent(field.value)}`).catch(() => ({ items: [] }));
    if (mine !== turn) return;
    [items, at] = [found.items, 0];
    paint();
  }

  function paint() {
    list.replaceChildren(...(items.length ? items.map((one, n) => h("button", { type: "button", role: "option", id: "macro-" + n, tabindex: -1, "aria-selected": String(n === at), onclick: () => pick(one), onpointerenter: () => { at = n; mark(); } },
      h("bdi", {}, one.title), one.elsewhere ? h("span", { class: "tag urgent" }, tongue(one.locale)) : null)) : [h("p", { class: "soft" }, t("macros_none"))]));
    mark();
  }

  function mark() {
    const one = items[at];
    for (const [n, node] of [...list.querySelectorAll("[role=option]")].entries()) node.setAttribute("aria-selected", String(n === at));
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", one ? "macro-" + at : "");
    preview.replaceChildren(...(one ? [
      h("p", {}, one.text),
      one.elsewhere ? h("p", { class: "warned" }, t("macros_elsewhere", { language: tongue(one.locale) })) : null,
      one.missing.length ? h("p", { class: "warned" }, t("warn_open", { what: one.missing.join(", ") })) : null].filter(Boolean) : []));
  }

  function key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && items.length) { event.preventDefault(); at = (at + step + items.length) % items.length; mark(); }
    else if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); if (items[at]) pick(items[at]); }
    else if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); shut(); }
  }

  function pick(one) { box.remove(); insert(one.text); }

  root.prepend(box);
  look();
  field.focus();
  return box;
}
