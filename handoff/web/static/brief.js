/* The right column: all that the agent needs to take over without asking anything again. */

import { face, h, icon, moment, number, shortDay, tongue } from "./dom.js";
import { errandsPart } from "./errands.js";
import { channelName, me, nameOf, t } from "./house.js";

const SCALE = { ces7: 7, ces7_statement: 7, csat5: 5, csat2: 2, nps: 10 };

export function paintBrief(root, whole, desk) {
  if (!whole) return root.replaceChildren();
  const { case: row, brief, hints } = whole, restore = kept(root);
  root.replaceChildren(
    h("header", { class: "top" }, h("h2", {}, t("desk_about")), h("button", { type: "button", class: "tool shut", "aria-label": t("desk_close"), title: t("desk_close"), onclick: desk.toggleBrief }, icon("close"))),
    h("div", { class: "sheet" },
      h("section", { class: "card" },
        h("div", { class: "person" }, face(row.customer.name), h("div", {}, h("b", {}, h("bdi", {}, nameOf(row))), brief.email ? h("a", { href: "mailto:" + encodeURIComponent(brief.email).replace("%40", "@") }, h("bdi", {}, brief.email)) : h("small", {}, `${t("desk_first_seen")} ${shortDay(brief.since_customer || row.opened_at)}`))),
        h("ul", { class: "addresses" }, brief.identities.map((one) =>
          h("li", {}, icon(one.channel), h("span", {}, channelName(one.channel), one.name && one.name !== row.customer.name ? [" · ", h("bdi", {}, one.name)] : null, h("small", {}, t("desk_is_" + one.evidence))),
            one.reachable ? null : h("span", { class: "tag urgent" }, t("desk_unreachable")))))),
      h("dl", { class: "facts" },
        fact("card_status", [h("span", { class: "tag st " + row.status }, t("status_" + row.status)), brief.queue ? h("small", {}, ` ${t("desk_place")}: ${brief.queue}`) : null]),
        row.agent ? fact("card_agent", h("bdi", {}, row.mine ? `${row.agent.name} (${t("desk_you").toLocaleLowerCase()})` : row.agent.name)) : null,
        row.team && me.teams.length > 1 ? fact("card_team", h("bdi", {}, row.team)) : null,
        fact("card_language", tongue(row.locale)),
        row.waiting_since ? fact("card_waiting", moment(row.waiting_since)) : null,
        row.due_at ? fact("card_due", h("time", { "data-due": row.due_at })) : null,
        brief.reopened ? fact("desk_reopened", "× " + number(brief.reopened)) : null,
        row.topic ? fact("card_topic", h("bdi", {}, row.topic)) : null,
        row.outcome ? fact("card_outcome", t("outcome_" + row.outcome)) : null),
      brief.reason ? part("card_reason", h("p", {}, h("bdi", {}, brief.reason))) : null,
      row.reason ? part("card_outcome", h("p", {}, h("bdi", {}, row.reason))) : null,
      brief.asked.length ? part("card_asked", h("dl", { class: "asked" }, brief.asked.map(([name, value]) => h("div", {}, h("dt", {}, h("bdi", {}, name.replaceAll("_", " "))), h("dd", {}, h("bdi", {}, value)))))) : null,
      brief.tried.length ? part("card_tried", h("ol", { class: "tried" }, brief.tried.map((line) => h("li", {}, h("bdi", {}, line))))) : null,
      errandsPart(whole, desk),
      brief.can_judge ? verdict(brief.judged, desk) : null,
      hints.mood ? part("hint_mood", h("p", {}, t("mood_" + hints.mood))) : null,
      hints.summary ? part("hint_model", h("p", { class: "model", title: t("desk_mark_model") }, h("bdi", {}, hints.summary))) : null,
      hints.articles.length ? part("hint_articles", h("ul", { class: "summary" }, hints.articles.map((one) => h("li", {}, h("bdi", {}, one.title))))) : null,
      hints.similar.length ? part("hint_similar", hints.similar.map((one) => h("details", { class: "solved", "data-solved": one.id }, h("summary", {}, `#${one.number ?? ""} · `, h("bdi", {}, one.question)), h("p", { dir: "auto" }, one.answer), h("small", {}, [one.agent, shortDay(one.at)].filter(Boolean).join(" · "))))) : null,
      hints.history.length > 1 ? part("hint_history", h("p", {}, hints.history.map((one) => t("hint_wrote", { channel: channelName(one.channel), count: number(one.count) })).join(" · "))) : null,
      brief.summary.length ? part("card_summary", h("ul", { class: "summary" }, brief.summary.map((line) => h("li", {}, h("bdi", {}, line))))) : null,
      brief.bad_experience ? part("card_bad_experience", h("ul", { class: "scores" }, [score(brief.bad_experience)])) : null,
      brief.scores.length ? part("desk_scores", h("ul", { class: "scores" }, brief.scores.map(score))) : null,
      brief.earlier.length ? part("card_earlier", h("ul", { class: "earlier" }, brief.earlier.map((one) =>
        h("li", {}, h("span", {}, t("desk_case", { number: one.number ?? "" }), one.topic ? [" · ", h("bdi", {}, one.topic)] : null),
          h("small", {}, [shortDay(one.at), one.outcome && t("outcome_" + one.outcome)].filter(Boolean).join(" · "), one.agent ? [" · ", h("bdi", {}, one.agent)] : null))))) : null));
  restore();
}

/** What somebody is in the middle of outlives a painting: words that are being written, a solved case that is open. */
function kept(root) {
  const box = root.contains(document.activeElement) ? document.activeElement.closest("textarea") : null, errand = box?.closest("[data-errand]")?.dataset.errand;
  const caret = box ? [box.selectionStart, box.selectionEnd] : null, open = [...root.querySelectorAll("details[open]")].map((one) => one.dataset.solved);
  return () => {
    for (const one of root.querySelectorAll("details")) one.open = open.includes(one.dataset.solved);
    const again = errand && root.querySelector(`[data-errand="${CSS.escape(errand)}"] textarea`);
    if (again) { again.focus({ preventScroll: true }); again.setSelectionRange(...caret); }
  };
}

/** Was a person needed? One click; pressed again, the other is the last word. */
const verdict = (judged, desk) => h("section", { class: "part verdict" }, h("h3", { id: "verdict" }, t("verdict_question")),
  h("div", { class: "asks", role: "group", "aria-labelledby": "verdict" }, [[true, "verdict_needed"], [false, "verdict_not_needed"]].map(([needed, key]) =>
    h("button", { type: "button", class: "btn small", "aria-pressed": String(judged === needed), onclick: () => desk.act("verdict", { needed }) }, judged === needed ? icon("check") : null, t(key)))));

const fact = (key, value) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, value));
const part = (key, ...kids) => h("section", { class: "part" }, h("h3", {}, t(key)), kids);

function score(one) {
  const of = SCALE[one.instrument], share = of ? one.score / of : 0;
  return h("li", {}, h("b", { class: share >= 0.7 ? "good" : share >= 0.45 ? "fair" : "poor" }, number(one.score) + (of ? "/" + of : "")),
    h("span", {}, h("small", {}, one.instrument.toUpperCase().replace("_STATEMENT", "").replace(/\d$/, "") + " · " + shortDay(one.at)), one.comment ? h("q", { dir: "auto" }, one.comment) : null));
}
