/* Forms of other rooms, drawn as they come: the pulse, a review, a label on a case, a talk that was held elsewhere. */

import { ask, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { get, post, reason, t } from "./house.js";

/** Opens the form of a kind; `filled` are answers that are known already. */
export async function openSheet(kind, filled = {}) {
  try {
    const { sheet, told } = await get(`sheets/${kind}`);
    if (told) return toast(told);
    let next = sheet;
    for (let known = filled; next?.questions; known = {}) next = await asked(next, known);
    if (next) toast(t("desk_sheet_kept"));
  } catch (error) { toast(reason(error), "bad"); }
}

/** True: it is kept; a sheet: this one comes next; nothing: they went away. */
function asked(sheet, filled) {
  const whole = h("p", { class: "wrong", role: "alert", hidden: true });
  const fields = sheet.questions.map((one) => field(one, filled[one.id] ?? ""));
  const said = sheet.material.map((one) => h("p", { dir: "auto" }, h("b", {}, h("bdi", {}, one.who)), ": ", one.said));
  const body = [h("p", { class: "soft", dir: "auto" }, sheet.lead), said.length ? h("div", { class: "material", tabindex: 0 }, said) : null, ...fields.map((one) => one.node), whole];
  return ask(sheet.title, body.filter(Boolean), sheet.submit, (form) => {
    send(sheet, Object.fromEntries(new FormData(form))).then(({ wrong, sheet: next }) => {
      if (!Object.keys(wrong).length) return form.pick(next ?? true);
      for (const one of fields) one.tell(wrong[one.id] ?? "");
      tell(whole, wrong[""] ?? "");
    }, (error) => tell(whole, reason(error)));
    return null;
  });
}

async function send(sheet, given) {
  const every = Object.fromEntries(sheet.questions.map((one) => [one.id, given[one.id] ?? ""]));
  return post("sheets", { id: sheet.id, given: every });
}

function tell(node, words) {
  node.textContent = words;
  node.hidden = !words;
}

function field(one, value) {
  const wrong = h("p", { class: "wrong", role: "alert", hidden: true });
  const label = [one.label, one.optional ? [" ", h("small", {}, t("desk_optional"))] : null];
  const node = one.options.length
    ? h("fieldset", {}, h("legend", {}, label), h("div", { class: "options" }, one.options.map((each) => h("label", { class: "option" }, h("input", { type: "radio", name: one.id, value: each.value, required: !one.optional }), h("span", { dir: "auto" }, each.label)))), wrong)
    : h("label", { class: "field" }, h("span", {}, label), one.longest > 150
      ? h("textarea", { name: one.id, rows: 3, dir: "auto", maxlength: one.longest, required: !one.optional })
      : h("input", { name: one.id, dir: "auto", maxlength: one.longest, autocomplete: "off", value, required: !one.optional }), wrong);
  return { id: one.id, node, tell: (words) => tell(wrong, words) };
}
