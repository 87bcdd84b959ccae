/* Small tools: elements, icons, times and the one place where HTML of ours becomes part of the page.
   Whatever people typed is text, always: nothing here parses it. */

export function h(tag, props, ...kids) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value != null && value !== false) node.setAttribute(name, value);
  }
  node.append(...kids.flat(2).filter((kid) => kid != null && kid !== false && kid !== ""));
  return node;
}

const ICONS = {
  back: "M15 5l-7 7 7 7", down: "m6 9 6 6 6-6", close: "m6 6 12 12M18 6 6 18", check: "m5 12.5 4.5 4.5L19 7.5", more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  clock: "M12 7.5V12l3 2m6-2a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z", warn: "M12 9v4m0 3.5v.01M10.6 4.4 3 17.8a1.6 1.6 0 0 0 1.4 2.4h15.2a1.6 1.6 0 0 0 1.4-2.4L13.4 4.4a1.6 1.6 0 0 0-2.8 0Z",
  lock: "M7.5 11V8a4.5 4.5 0 0 1 9 0v3M6 11h12v9H6z", clip: "m19.5 11.5-7.6 7.6a4.6 4.6 0 0 1-6.5-6.5l8-8a3 3 0 0 1 4.3 4.3l-8 7.9a1.5 1.5 0 0 1-2.1-2.1l7.2-7.2",
  file: "M13.5 3.5H7A1.5 1.5 0 0 0 5.5 5v14A1.5 1.5 0 0 0 7 20.5h10a1.5 1.5 0 0 0 1.5-1.5V8.5zm0 0v5h5", send: "M12 19V5m-6.5 6.5L12 5l6.5 6.5",
  bot: "M9 8.5h6a4 4 0 0 1 4 4V15a3 3 0 0 1-3 3H8a3 3 0 0 1-3-3v-2.5a4 4 0 0 1 4-4Zm3 0V5m-2.5 8v.6m5-.6v.6", info: "M12 11v5m0-8.2v.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
  web: "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Zm-17.7-2h17.4M3.3 14h17.4M12 3c-5 5.500-5 12.500 0 18 5-5.500 5-12.500 0-18", telegram: "M21 4 3 11l6 2.200m12-9.200-3 16-9-6.800m12-9.200L9 13.200V19l3.200-3.300",
  slack: "M9.500 4v16m5-16v16M4 9.500h16M4 14.500h16", undo: "M9 6 4.500 10.500 9 15m-4.500-4.500H15a4.500 4.500 0 0 1 0 9h-3", out: "M14 5h4.500v14H14m-3-3.500L14.500 12 11 8.500m3.500 3.500H5", bell: "M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 1.500h-15zm4 3.500a2 2 0 0 0 4 0",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.500 8.500c.8-3.600 3.800-5.500 7.500-5.500s6.700 1.900 7.500 5.500", moon: "M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10Z", swap: "M4 8.500h14m-4-4 4 4-4 4M20 15.500H6m4-4-4 4 4 4",
  inbox: "M4 13.500h4.500l1.500 3h4l1.500-3H20M4 13.500 6.500 5h11l2.500 8.500V19H4z", ext: "M14 5h5v5m0-5-8 8m6 1v5H5V7h5", question: "M9.500 9.500a2.500 2.500 0 1 1 3.600 2.200c-.8.400-1.100.900-1.100 1.800m0 3v.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
};
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.dataset.i = name;
  path.setAttribute("d", ICONS[name] || ICONS.info);
  svg.append(path);
  return svg;
}

// ── Our renderer's HTML ──
const KEPT = new Set("A B STRONG I EM U S DEL CODE PRE BR P UL OL LI BLOCKQUOTE".split(" "));
const BARRED = new Set("SCRIPT STYLE TEMPLATE IFRAME OBJECT EMBED NOSCRIPT TEXTAREA SELECT TITLE HEAD XMP PLAINTEXT".split(" "));
const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const policy = window.trustedTypes?.createPolicy("stafett-desk", { createHTML: (html) => html });

/** Rebuilds from an allow-list: nothing of the parsed tree itself, and no attribute but a checked href. */
function clean(from, to) {
  for (const node of from.childNodes) {
    if (node.nodeType === 3) to.append(node.data);
    if (node.nodeType !== 1 || node.namespaceURI !== document.documentElement.namespaceURI || BARRED.has(node.tagName)) continue;
    let target = to;
    if (KEPT.has(node.tagName)) {
      target = document.createElement(node.tagName);
      if (node.tagName === "A") {
        let url;
        try { url = new URL(node.getAttribute("href")); } catch { /* relative or none: the words stay */ }
        if (url && SCHEMES.has(url.protocol)) for (const [name, value] of [["href", url.href], ["target", "_blank"], ["rel", "noopener noreferrer nofollow"]]) target.setAttribute(name, value);
      }
      to.append(target);
    }
    clean(node, target);
  }
  return to;
}
export function prose(text, html) {
  const box = h("div", { class: "prose", dir: "auto" });
  if (html) {
    // A document made by a parser is inert: no scripts, no images, no style.
    return clean(new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html").body, box);
  }
  box.classList.add("plain");
  box.append(text || "");
  return box;
}

// ── Faces ──
export const hue = (name) => [...String(name)].reduce((sum, char) => (sum * 31 + char.codePointAt(0)) % 360, 7);
export function face(name, kind = "") {
  const letters = String(name || "").trim().split(/\s+/).map((part) => [...part][0] || "").filter((char) => /[\p{L}\p{N}]/u.test(char));
  const node = h("span", { class: `face ${kind}`, "aria-hidden": "true" }, kind === "bot" ? icon("bot") : letters.length ? (letters[0] + (letters.length > 1 ? letters.at(-1) : "")).toUpperCase() : icon("person"));
  node.style.setProperty("--hue", hue(name));
  return node;
}

// ── Times and numbers, in the agent's language ──
let locale = "en";
export const setLocale = (to) => { locale = to; };
const region = () => navigator.languages.find((tag) => tag.split("-")[0] === locale) || locale;  // en-GB tells the time otherwise than en-US
export const clock = (at) => new Intl.DateTimeFormat(region(), { timeStyle: "short" }).format(new Date(at));
const midnight = (at) => new Date(at).setHours(0, 0, 0, 0);
export const sameDay = (a, b) => midnight(a) === midnight(b);
export function dayOf(at, now = Date.now()) {
  const ago = Math.round((midnight(now) - midnight(at)) / 864e5);
  const word = ago >= 0 && ago < 2 ? new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-ago, "day")
    : new Intl.DateTimeFormat(region(), { weekday: "long", day: "numeric", month: "long", year: ago > 300 ? "numeric" : undefined }).format(new Date(at));
  return word[0].toUpperCase() + word.slice(1);
}
export const shortDay = (at) => sameDay(at, Date.now()) ? clock(at)
  : new Intl.DateTimeFormat(region(), { day: "numeric", month: "short", ...(Date.now() - new Date(at) > 25e9 ? { year: "numeric" } : {}) }).format(new Date(at));
export const moment = (at) => sameDay(at, Date.now()) ? clock(at)
  : new Intl.DateTimeFormat(region(), { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" }).format(new Date(at));
/** A span in its largest whole unit: "4 min", "2 hr", "3 days". */
export function span(ms) {
  const minutes = Math.max(0, Math.floor(ms / 6e4));
  const [value, unit] = minutes < 1 ? [Math.max(0, Math.floor(ms / 1e3)), "second"] : minutes < 90 ? [minutes, "minute"] : minutes < 2160 ? [Math.round(minutes / 60), "hour"] : [Math.round(minutes / 1440), "day"];
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: unit === "day" ? "long" : "short" }).format(value);
}
export const bytes = (size) => {
  const [value, unit] = size < 1e6 ? [Math.max(1, size / 1e3), "kilobyte"] : [size / 1e6, "megabyte"];
  return new Intl.NumberFormat(locale, { style: "unit", unit, maximumFractionDigits: unit === "megabyte" ? 1 : 0 }).format(value);
};
export const number = (value) => new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(value);
export function tongue(tag) {
  try { const name = new Intl.DisplayNames(locale, { type: "language" }).of(tag); return name[0].toUpperCase() + name.slice(1); } catch { return tag; }
}
