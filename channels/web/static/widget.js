/* Stafett's web widget: one file, no framework, no request to anybody but the server it came from.

   Four parts: settings and words · Line (session, socket, order of frames, outbox; no DOM) · clean() and small DOM
   tools · Panel (all that is seen, in a shadow root). The server's `seq` is the only order: a frame is shown when
   all before it are. What the customer wrote stays in localStorage, under its own id, until it is acknowledged.
   The shadow root is open: a closed one hides nothing from a host page and much from people who test theirs. */
(() => {
"use strict";
if (window.Stafett) return;

// ── Settings and words ──
const script = document.currentScript || document.querySelector('script[src*="widget.js"]');
const settings = { ...script?.dataset, ...window.StafettSettings };
const base = new URL("./", new URL(settings.server || script?.src || "/", location.href)).href;
const api = (path) => new URL("api/web/" + path, base).href;
const TEXT_LIMIT = 16000, FRAME_LIMIT = 65000, FILE_LIMIT = 20 * 2 ** 20, FILES_LIMIT = 10, DAY = 864e5;

const NAMES = { en: "English", nl: "Nederlands", nb: "Norsk", he: "עברית" };
const WORDS = {
  en: { title: "Chat with us", bot: "Answers right away", hello: "Hello! How can we help?", intro: "Ask anything. Your conversation stays here, so you can come back to it.",
    write: "Write a message…", send: "Send", attach: "Attach a file", open: "Open chat", close: "Close chat", menu: "More", language: "Language",
    human: "Talk to a human", say: "talk to a human", link: "Continue on Telegram or Slack", sound: "Sound", sending: "Sending…", waiting: "Waiting for a connection", sent: "Sent",
    failed: "Not sent", retry: "Try again", edited: "edited", deleted: "This message was deleted", queue: "You are number {n} in line", wait: "about {t}", queued: "A colleague is on the way",
    joined: "{n} has joined", with: "You are talking with {n}", resolved: "Resolved. Write any time to go on.", lost: "Connecting again…", offline: "You are offline. Messages go out when you are back.",
    typing: "{n} is typing", news: "New messages", remove: "Remove", saved: "Thank you! You can change this for 24 hours.", you: "You", assistant: "Assistant", log: "Conversation", bare: "Score",
    too_long: "That is too long: at most 16,000 characters.", rate_limited: "That was quick! It goes out in {n} s.", conflict: "This message was already sent with other words.",
    file_refused: "{n} could not be accepted.", file_large: "{n} is over 20 MB.", file_failed: "{n} could not be uploaded.", file_gone: "This file is not available.", error: "Something went wrong. Please try again.",
    gone: "That button is no longer there.", unavailable: "The chat cannot be reached right now. We keep trying." },
  nl: { title: "Chat met ons", bot: "Antwoordt meteen", hello: "Hallo! Waarmee kunnen we helpen?", intro: "Stel gerust je vraag. Je gesprek blijft hier staan, dus je kunt er later op terugkomen.",
    write: "Schrijf een bericht…", send: "Versturen", attach: "Bestand toevoegen", open: "Chat openen", close: "Chat sluiten", menu: "Meer", language: "Taal",
    human: "Praat met een medewerker", say: "medewerker", link: "Verder op Telegram of Slack", sound: "Geluid", sending: "Versturen…", waiting: "Wacht op verbinding", sent: "Verzonden",
    failed: "Niet verzonden", retry: "Opnieuw proberen", edited: "bewerkt", deleted: "Dit bericht is verwijderd", queue: "Je bent nummer {n} in de wachtrij", wait: "ongeveer {t}", queued: "Er komt een collega aan",
    joined: "{n} doet nu mee", with: "Je praat met {n}", resolved: "Opgelost. Schrijf gerust als er nog iets is.", lost: "Opnieuw verbinden…", offline: "Je bent offline. Berichten gaan weg zodra je weer verbinding hebt.",
    typing: "{n} is aan het typen", news: "Nieuwe berichten", remove: "Verwijderen", saved: "Dank je wel! Je kunt dit nog 24 uur wijzigen.", you: "Jij", assistant: "Assistent", log: "Gesprek", bare: "Score",
    too_long: "Dat is te lang: hoogstens 16.000 tekens.", rate_limited: "Dat ging snel! Je bericht gaat over {n} s weg.", conflict: "Dit bericht is al met andere woorden verzonden.",
    file_refused: "{n} kunnen we niet aannemen.", file_large: "{n} is groter dan 20 MB.", file_failed: "{n} kon niet worden geüpload.", file_gone: "Dit bestand is niet beschikbaar.", error: "Er ging iets mis. Probeer het nog eens.",
    gone: "Die knop is er niet meer.", unavailable: "De chat is nu niet bereikbaar. We blijven het proberen." },
  nb: { title: "Chat med oss", bot: "Svarer med en gang", hello: "Hei! Hva kan vi hjelpe med?", intro: "Spør om hva som helst. Samtalen blir liggende her, så du kan komme tilbake til den.",
    write: "Skriv en melding…", send: "Send", attach: "Legg ved en fil", open: "Åpne chat", close: "Lukk chat", menu: "Mer", language: "Språk",
    human: "Snakk med et menneske", say: "snakke med et menneske", link: "Fortsett på Telegram eller Slack", sound: "Lyd", sending: "Sender…", waiting: "Venter på forbindelse", sent: "Sendt",
    failed: "Ikke sendt", retry: "Prøv igjen", edited: "redigert", deleted: "Denne meldingen er slettet", queue: "Du er nummer {n} i køen", wait: "omtrent {t}", queued: "En kollega er på vei",
    joined: "{n} er her nå", with: "Du snakker med {n}", resolved: "Løst. Skriv gjerne igjen når som helst.", lost: "Kobler til igjen…", offline: "Du er frakoblet. Meldinger sendes når du er på nett igjen.",
    typing: "{n} skriver", news: "Nye meldinger", remove: "Fjern", saved: "Takk! Du kan endre dette i 24 timer.", you: "Du", assistant: "Assistent", log: "Samtale", bare: "Poeng",
    too_long: "Det er for langt: høyst 16 000 tegn.", rate_limited: "Det gikk fort! Meldingen sendes om {n} s.", conflict: "Denne meldingen er allerede sendt med andre ord.",
    file_refused: "{n} kan ikke tas imot.", file_large: "{n} er større enn 20 MB.", file_failed: "{n} kunne ikke lastes opp.", file_gone: "Filen er ikke tilgjengelig.", error: "Noe gikk galt. Prøv igjen.",
    gone: "Den knappen finnes ikke lenger.", unavailable: "Chatten kan ikke nås akkurat nå. Vi fortsetter å prøve." },
  he: { title: "דברו איתנו", bot: "עונה מיד", hello: "שלום! איך אפשר לעזור?", intro: "אפשר לשאול הכול. השיחה נשמרת כאן, ותמיד אפשר לחזור אליה.",
    write: "כתיבת הודעה…", send: "שליחה", attach: "צירוף קובץ", open: "פתיחת הצ׳אט", close: "סגירת הצ׳אט", menu: "עוד", language: "שפה",
    human: "לשיחה עם נציג", say: "נציג", link: "להמשיך בטלגרם או ב-Slack", sound: "צליל", sending: "שולח…", waiting: "ממתין לחיבור", sent: "נשלח",
    failed: "לא נשלח", retry: "לנסות שוב", edited: "נערך", deleted: "ההודעה נמחקה", queue: "מקומך בתור: {n}", wait: "עוד כ-{t}", queued: "נציג בדרך אליך",
    joined: "{n} כאן איתך", with: "השיחה עם {n}", resolved: "הפנייה נפתרה. אפשר לכתוב שוב בכל עת.", lost: "מתחבר מחדש…", offline: "אין חיבור לרשת. ההודעות יישלחו כשהחיבור יחזור.",
    typing: "{n} בהקלדה", news: "הודעות חדשות", remove: "הסרה", saved: "תודה! אפשר לשנות במשך 24 שעות.", you: "אני", assistant: "העוזר", log: "שיחה", bare: "ציון",
    too_long: "ההודעה ארוכה מדי: עד 16,000 תווים.", rate_limited: "מהר מדי! ההודעה תישלח בעוד {n} שניות.", conflict: "ההודעה כבר נשלחה בנוסח אחר.",
    file_refused: "לא ניתן לקבל את הקובץ {n}.", file_large: "הקובץ {n} גדול מ-20MB.", file_failed: "העלאת הקובץ {n} נכשלה.", file_gone: "הקובץ אינו זמין.", error: "משהו השתבש. אפשר לנסות שוב.",
    gone: "הכפתור הזה כבר לא זמין.", unavailable: "אי אפשר להגיע לצ׳אט כרגע. ממשיכים לנסות." },
};
/** The nearest of our four locales to a BCP 47 tag, or undefined. */
function nearest(tag) {
  const language = String(tag || "").toLowerCase().split("-")[0];
  return { no: "nb", nn: "nb", iw: "he" }[language] || (WORDS[language] && language);
}

// ── What lasts: localStorage under this server's address, or memory where the browser forbids it ──
const memory = {};
const store = {
  key: (name) => `stafett:${base}:${name}`,
  get(name) {
    try { return JSON.parse(localStorage.getItem(this.key(name))); } catch { return memory[name] ?? null; }
  },
  set(name, value) {
    memory[name] = value;
    try {
      if (value == null) localStorage.removeItem(this.key(name));
      else localStorage.setItem(this.key(name), JSON.stringify(value));
    } catch { /* full or forbidden: this tab remembers */ }
  },
};
const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
const uuid = () => crypto.randomUUID?.() ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
  (digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (digit / 4)))).toString(16));

const page = nearest(settings.locale) || nearest(document.documentElement.lang) || navigator.languages.map(nearest).find(Boolean) || "en";
const picked = store.get("locale");  // holds until the page itself speaks another language than when it was picked
let locale = picked?.page === page && nearest(picked.locale) || page;
const t = (key, values = {}) => WORDS[locale][key].replace(/\{(\w)\}/g, (_, name) => values[name] ?? "");

/** Whom the host site's token names, so that two of them can be told apart; whether it is true the server finds out. */
function subjectOf(jwt) {
  try { return JSON.parse(atob(jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).sub ?? null; } catch { return null; }
}

/** Whether another customer sits here from now on. Who signs in after somebody else is as good as one who signed out before. */
function isAnother(jwt) {
  const before = store.get("who"), who = subjectOf(jwt);
  store.set("who", who);
  return jwt == null || (before != null && who !== before);
}

/** Nothing of who was here goes out in the next one's name; the other tabs of this browser hear that they have left. */
function wipe() {
  for (const name of ["token", "outbox", "read"]) store.set(name, null);
  store.set("left", uuid());
}

// ── Line: from the server's frames to an ordered story, and the way back ──
class Line {
  constructor(tell) {
    this.tell = tell;
    this.identity = settings.identity;
    if (this.identity && isAnother(this.identity)) wipe();
    this.forget();
    this.tries = this.refused = 0;
    addEventListener("online", () => this.connect());
    addEventListener("offline", () => this.hangUp());
    addEventListener("storage", ({ key, newValue }) => {
      if (key === store.key("left") && newValue) {
        this.identity = null;
        this.leave();
        if (this.wanted) this.connect();
      }
      if (key !== store.key("token") || !this.wanted || !newValue || store.get("token") === this.token) return;
      this.token = store.get("token");
      this.renew();
    });
    document.addEventListener("visibilitychange", () => document.hidden || this.connect());
    let beat = Date.now();
    setInterval(() => {  // a machine that slept holds a socket that only looks alive
      if (Date.now() - beat > 9e4 && this.socket) this.renew();
      beat = Date.now();
    }, 2e4);
  }

  forget() {
    this.last = 0;
    this.ahead = new Map();   // seq → frame that waits for those before it
    this.acks = new Map();    // seq → own message, acknowledged, whose frame has not come (and may not)
    this.ours = new Set();    // seqs that we showed by their acknowledgement alone
    this.stuck = [0, 0];
  }

  restart() { this.heard = null; this.renew(); }

  /** Who was here has left, in this tab or another one: nothing of theirs stays in sight, whatever the network does. */
  leave() {
    this.token = this.heard = null;
    this.forget();
    this.hangUp();
    this.tell("left");
  }

  /** Begins, or renews, the session; other tabs wait, so that two of them don't become two visitors. */
  async session() {
    const ask = async () => {
      const held = store.get("token"), left = store.get("left");
      const answer = await fetch(api("session"), {
        method: "POST", credentials: "omit", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ token: held ?? undefined, identity: this.identity || undefined, locale, timezone: zone() }),
      });
      if (answer.status === 401 && this.identity) {
        console.warn("Stafett: the server refused the identity token");
        this.identity = null;
        return ask();
      }
      if (!answer.ok) throw new Error("session " + answer.status);
      const { token, ...rest } = await answer.json();
      if (store.get("left") !== left) throw new Error("who asked has left");
      if (token !== held) store.set("token", token);
      return { token, ...rest };
    };
    const answer = await (navigator.locks ? navigator.locks.request(store.key("session"), ask) : ask());
    this.token = answer.token;
    this.tell("session", answer);
  }

  /** Gives a new session (signed in, another language); starts the story again if it is another customer's. */
  async reintroduce() {
    await this.session();
    if (this.token !== this.heard) this.hangUp();
    this.connect();
  }

  /** Somebody signs in (anew), or out. */
  become(jwt) {
    this.identity = jwt;
    this.wanted = true;
    if (!isAnother(jwt)) {
      store.set("read", null);
      return this.reintroduce();
    }
    wipe();
    this.leave();
    return this.reintroduce().catch((why) => { this.later(); throw why; });
  }

  async connect() {
    this.wanted = true;
    if (this.socket || this.opening) return;
    clearTimeout(this.timer);
    this.opening = true;
    try {
      if (!this.token) await this.session();
      this.dial();
    } catch {
      this.tell("unavailable");
      this.later();
    } finally {
      this.opening = false;
    }
  }

  dial() {
    if (this.heard !== this.token) {  // another customer's story, or the first
      this.forget();
      this.tell("reset");
      this.heard = this.token;
    }
    const socket = new WebSocket(api("ws").replace(/^http/, "ws"));
    this.socket = socket;
    this.ahead.clear();
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token: this.token, after: this.last }));
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      let frame;
      try { frame = JSON.parse(data); } catch { return; }
      this.take(frame);
    };
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      if (code === 4401) {
        this.token = null;
        if (this.refused++) store.set("token", null);
      }
      this.hangUp();
      this.later();
    };
  }

  hangUp() {
    const socket = this.socket;
    this.socket = null;
    this.ready = false;
    clearTimeout(this.watch);
    clearTimeout(this.gap);
    socket?.close();
    this.tell("lost");
  }

  renew() { this.hangUp(); this.connect(); }

  /** Tries again after 0.5, 1, 2 … 30 s, each shortened at random by up to half: a crowd must not come back at once. */
  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), Math.min(3e4, 500 * 2 ** this.tries++) * (1 - Math.random() / 2));
  }

  take(frame) {
    switch (frame.type) {
      case "ready": return this.welcome(frame);
      case "ack": return this.acknowledged(frame);
      case "message": case "edit": case "delete": return this.arrive(frame);
      case "error": return this.refusal(frame);
      case "typing": case "case": return this.tell(frame.type, frame);
    }
  }

  welcome(frame) {
    if (frame.last_seq < this.last) return this.restart();  // the server's story is another one than ours
    this.ready = true;
    this.tries = this.refused = 0;
    this.tell("ready", frame);
    this.flush();
  }

  arrive(frame) {
    if (frame.seq <= this.last) {
      if (this.ours.delete(frame.seq)) this.tell("known", frame);
      return;
    }
    this.ahead.set(frame.seq, frame);
    this.drain();
  }

  drain() {
    for (;;) {
      const next = this.last + 1, own = this.acks.get(next);
      const frame = this.ahead.get(next) || (own && this.ahead.size && this.promote(next, own));
      if (!frame) break;
      this.show(frame);
    }
    clearTimeout(this.gap);
    if (this.ahead.size) this.gap = setTimeout(() => this.mend(), 800);
  }

  show(frame) {
    this.ahead.delete(frame.seq);
    this.acks.delete(frame.seq);
    this.last = frame.seq;
    this.tell("frame", frame);
  }

  promote(seq, own) {
    this.ours.add(seq);
    return { type: "message", seq, id: own.id, author: { kind: "customer" }, channel: "web", text: own.text, files: own.files, at: own.at };
  }

  /** Something between is missing: ask again from where the story breaks; after three times go on without it. */
  mend() {
    this.stuck = this.stuck[0] === this.last ? [this.last, this.stuck[1] + 1] : [this.last, 1];
    if (this.stuck[1] <= 3) return this.renew();
    this.last = Math.min(...this.ahead.keys()) - 1;
    this.drain();
  }

  // The outbox: shared by all tabs, so that one may send what another could not. Doubles are one, by their id.
  outbox() { return store.get("outbox") || []; }
  keep(change) { store.set("outbox", change(this.outbox())); }

  post(message) {
    const item = { id: uuid(), at: new Date().toISOString(), ...message };
    this.keep((items) => [...items, item]);
    this.tell("pending", item);
    this.connect();
    this.push(item);
  }

  flush() {
    for (const item of this.outbox()) {
      this.tell("pending", item);
      if (!item.failed) this.push(item);
    }
  }

  push(item) {
    if (!this.ready || Date.now() < this.paused) return;
    this.socket.send(frameOf(item));
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.outbox().some((one) => !one.failed) && this.renew(), 12e3);
  }

  acknowledged({ id, seq }) {
    const item = this.outbox().find((one) => one.id === id);
    this.keep((items) => items.filter((one) => one.id !== id));
    this.tell("acked", { id, seq });
    if (!item || seq <= this.last) return;
    this.acks.set(seq, item);
    this.drain();
    setTimeout(() => {  // no frame of it came: the acknowledgement is word enough
      if (this.acks.has(seq) && this.last === seq - 1) this.show(this.promote(seq, item));
      this.drain();
    }, 250);
  }

  retry(id) { this.mark(id, false); this.flush(); this.connect(); }
  drop(id) { this.keep((items) => items.filter((one) => one.id !== id)); }
  mark(id, failed) { this.keep((items) => items.map((one) => (one.id === id ? { ...one, failed } : one))); }

  refusal(frame) {
    if (frame.code === "unauthorised") return;  // 4401 follows
    const wait = Math.ceil(frame.retry_after ?? frame.wait_s ?? 5);
    if (frame.code === "rate_limited") {
      this.paused = Date.now() + wait * 1000;
      clearTimeout(this.watch);
      setTimeout(() => this.flush(), wait * 1000 + 20);
    } else if (frame.id) {
      this.mark(frame.id, true);
      this.tell("failed", frame);
    }
    this.tell("problem", { ...frame, wait });
  }

  whisper(frame) { if (this.ready) this.socket.send(JSON.stringify(frame)); }

  async file(path, options = {}) {
    const call = () => fetch(path, { ...options, credentials: "omit", headers: { Authorization: "Bearer " + this.token } });
    if (!this.token) await this.session();
    const answer = await call();
    if (answer.status !== 401) return answer;
    await this.reintroduce();
    return call();
  }
}
const frameOf = (item) => JSON.stringify(item.message
  ? { type: "choice", id: item.id, message: item.message, value: item.value }
  : { type: "message", id: item.id, text: item.text, files: (item.files || []).map((file) => file.id) });

// ── Small DOM tools: nothing here ever parses text into the page ──
function h(tag, props, ...kids) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value != null && value !== false) node.setAttribute(name, value);
  }
  node.append(...kids.flat().filter((kid) => kid != null && kid !== false && kid !== ""));
  return node;
}
const ICONS = {
  chat: "M4.5 5.5h15a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5H12l-4.5 3.5v-3.5h-3A1.5 1.5 0 0 1 3 16V7a1.5 1.5 0 0 1 1.5-1.5ZM8.5 13.8l7-4.6",
  down: "m6 9 6 6 6-6", close: "m6 6 12 12M18 6 6 18", send: "M12 19V5m-6.5 6.5L12 5l6.5 6.5", more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  clip: "m19.5 11.5-7.6 7.6a4.6 4.6 0 0 1-6.5-6.5l8-8a3 3 0 0 1 4.3 4.3l-8 7.9a1.5 1.5 0 0 1-2.1-2.1l7.2-7.2", check: "m5 12.5 4.5 4.5L19 7.5",
  bot: "M9 8.5h6a4 4 0 0 1 4 4V15a3 3 0 0 1-3 3H8a3 3 0 0 1-3-3v-2.5a4 4 0 0 1 4-4Zm3 0V5m-2.5 8v.6m5-.6v.6", file: "M13.5 3.5H7A1.5 1.5 0 0 0 5.5 5v14A1.5 1.5 0 0 0 7 20.5h10a1.5 1.5 0 0 0 1.5-1.5V8.5zm0 0v5h5",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.5 8.5c.8-3.6 3.8-5.5 7.5-5.5s6.7 1.9 7.5 5.5", link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1m2 3.7a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1",
  sound: "M5 10v4h3l4.5 4V6L8 10zm11-1.5a5 5 0 0 1 0 7", clock: "M12 7.5V12l3 2m6-2a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
};
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const KEPT = new Set("A B STRONG I EM U S DEL CODE PRE BR P UL OL LI BLOCKQUOTE".split(" "));
const BARRED = new Set("SCRIPT STYLE TEMPLATE IFRAME OBJECT EMBED NOSCRIPT TEXTAREA SELECT TITLE HEAD XMP PLAINTEXT".split(" "));
const SCHEMES = new Set(["http:", "https:", "mailto:"]);
let policy;  // where the host page demands Trusted Types and forbids ours, messages are shown as plain text
try { policy = window.trustedTypes?.createPolicy("stafett", { createHTML: (html) => html }); } catch { /* forbidden */ }

/** Rebuilds the server's HTML from an allow-list: nothing of the parsed tree itself, and no attribute but a checked href. */
function clean(from, to) {
  for (const node of from.childNodes) {
    if (node.nodeType === 3) to.append(node.data);
    if (node.nodeType !== 1 || node.namespaceURI !== to.ownerDocument.documentElement.namespaceURI || BARRED.has(node.tagName)) continue;
    let target = to;
    if (KEPT.has(node.tagName)) {
      target = h(node.tagName);
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
function prose(message) {
  const box = h("div", { class: "prose", dir: "auto" });
  try {
    if (message.html) return clean(new DOMParser().parseFromString(policy ? policy.createHTML(message.html) : message.html, "text/html").body, box);
  } catch { box.textContent = ""; }
  box.classList.add("plain");
  box.append(message.text || "");
  return box;
}
/** A name as one isolated run: without the marks that turn "gpj.exe" around. */
/** A wait as people say it, in the units that the bot's own sentence uses. */
const span = (minutes) => {
  const [unit, size] = minutes < 90 ? ["minute", 1] : minutes < 36 * 60 ? ["hour", 60] : ["day", 1440];
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(Math.round(minutes / size));
};
const named = (name) => String(name || "").replace(/[\u0000-\u001f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const bytes = (size) => {
  const [value, unit] = size < 1e6 ? [Math.max(1, size / 1e3), "kilobyte"] : [size / 1e6, "megabyte"];
  return new Intl.NumberFormat(locale, { style: "unit", unit, maximumFractionDigits: unit === "megabyte" ? 1 : 0 }).format(value);
};
const region = () => navigator.languages.find((tag) => nearest(tag) === locale) || locale;  // en-GB tells the time otherwise than en-US
const clock = (at) => new Intl.DateTimeFormat(region(), { timeStyle: "short" }).format(at);
function dayOf(at) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0), ago = Math.round((midnight(Date.now()) - midnight(at)) / DAY);
  const word = ago < 2 ? new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-ago, "day")
    : new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", year: ago > 300 ? "numeric" : undefined }).format(at);
  return word[0].toUpperCase() + word.slice(1);
}

// ── What it looks like ──
const SHEET = `
:host{all:initial;color-scheme:light dark}
.root{--accent:#0b6b5d;--on:#fff;--bg:#fff;--raised:#f3f4f3;--line:#e4e6e4;--ink:#171a19;--soft:#626966;--bad:#b42318;--tint:color-mix(in srgb,var(--accent) 9%,var(--bg));--link:color-mix(in srgb,var(--accent) 85%,#000);
 position:fixed;inset:auto 20px 20px auto;z-index:2147483000;font:15px/1.45 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans Hebrew",Arial,sans-serif;color:var(--ink);-webkit-font-smoothing:antialiased}
.root.left{inset:auto auto 20px 20px}
*{box-sizing:border-box}[hidden]{display:none!important}
button{all:unset;box-sizing:border-box;cursor:pointer;-webkit-tap-highlight-color:transparent}button:disabled{cursor:default}
:is(button,a,textarea):focus-visible{outline:2px solid var(--link);outline-offset:2px}
svg{width:22px;height:22px;display:block;fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round;flex:none}
.launch{position:relative;width:58px;height:58px;border-radius:50%;background:var(--accent);color:var(--on);display:grid;place-items:center;box-shadow:0 1px 2px #0003,0 8px 24px #0000002e;transition:transform .18s,box-shadow .18s}
.launch:hover{transform:translateY(-2px) scale(1.03);box-shadow:0 2px 4px #0003,0 14px 32px #00000038}.launch svg{width:27px;height:27px}
.badge{position:absolute;inset-block-start:-3px;inset-inline-end:-3px;min-width:22px;height:22px;padding:0 6px;border-radius:11px;background:#d92d20;color:#fff;font-size:12px;font-weight:650;line-height:22px;text-align:center;box-shadow:0 0 0 2px var(--bg)}
.tease{position:absolute;bottom:72px;inset-inline-end:0;width:max-content;max-width:min(290px,calc(100vw - 40px));padding:12px 16px;border-radius:16px;border-end-end-radius:5px;background:var(--bg);box-shadow:0 0 0 1px #0000000f,0 12px 32px #00000029;font-size:14px;display:-webkit-box;-webkit-line-clamp:3;-webkit-box-orient:vertical;overflow:hidden;animation:rise .25s}
.panel{position:absolute;bottom:74px;right:0;width:396px;height:min(664px,calc(100vh - 118px));display:flex;flex-direction:column;background:var(--bg);border-radius:20px;overflow:hidden;box-shadow:0 0 0 1px #00000012,0 24px 64px -8px #0000003d,0 6px 16px #00000014;animation:rise .24s cubic-bezier(.2,.9,.3,1)}
.left .panel{right:auto;left:0}
@keyframes rise{from{opacity:0;transform:translateY(14px) scale(.985)}}
.top{display:flex;align-items:center;gap:12px;padding:14px 12px 14px 18px;padding-inline:18px 12px;border-bottom:1px solid var(--line);background:linear-gradient(var(--tint),var(--bg))}
.who{flex:1;min-width:0}.who b{display:block;font-size:15.5px;font-weight:650;letter-spacing:-.01em}.who span{display:block;font-size:13px;color:var(--soft)}.who *{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.face{display:grid;place-items:center;width:30px;height:30px;border-radius:50%;background:var(--accent);color:var(--on);font-size:13px;font-weight:650;flex:none}.face svg{width:19px;height:19px}.top .face{width:40px;height:40px;font-size:16px}.top .face svg{width:25px;height:25px}
.face.agent{background:hsl(var(--hue,28) 52% 40%);color:#fff}
.tool{display:grid;place-items:center;width:36px;height:36px;border-radius:10px;color:var(--soft)}.tool:hover,.tool[aria-expanded=true]{background:var(--raised);color:var(--ink)}
[data-i=more]{stroke-width:3}
.menu{position:absolute;z-index:3;inset-block-start:62px;inset-inline-end:12px;width:min(292px,calc(100% - 24px));padding:6px;border-radius:14px;background:var(--bg);box-shadow:0 0 0 1px #00000014,0 16px 40px #00000033;animation:rise .16s}
.menu button{display:flex;align-items:center;gap:10px;width:100%;padding:9px 10px;border-radius:9px;font-size:14px}.menu button:hover,.menu button:focus-visible{background:var(--raised)}.menu svg{width:19px;height:19px;color:var(--soft)}
.menu .tick{margin-inline-start:auto;color:var(--link);visibility:hidden}.menu [aria-checked=true] .tick{visibility:visible}
.menu p{margin:6px 0 0;padding:9px 10px 4px;border-top:1px solid var(--line);font-size:12px;color:var(--soft)}
.strip{display:flex;align-items:center;gap:9px;padding:9px 18px;font-size:13.5px;border-bottom:1px solid var(--line);background:var(--tint);font-weight:520}.strip svg{width:18px;height:18px;color:var(--link)}.strip small{font-size:13px;font-weight:400;color:var(--soft)}
.strip.net{background:#fef3d9;color:#6b4a05}.strip.net svg{color:inherit}
.log{flex:1;overflow-y:auto;overscroll-behavior:contain;padding:18px 16px 10px;scrollbar-width:thin;position:relative}.log:focus-visible{outline-offset:-3px}
.hello{padding:20px 8px 26px;text-align:center;color:var(--soft);text-wrap:balance}.hello .face{width:56px;height:56px;margin:0 auto 14px}.hello .face svg{width:33px;height:33px}.hello h2{margin:0 0 6px;font-size:20px;font-weight:680;letter-spacing:-.02em;color:var(--ink)}.hello p{margin:0 auto;max-width:36ch}
.day{display:flex;align-items:center;gap:12px;margin:14px 0 12px;font-size:12px;color:var(--soft)}.day:before,.day:after{content:"";flex:1;border-top:1px solid var(--line)}.day:first-child{margin-top:0}
.log{overflow-anchor:none}.msg{display:grid;grid-template-columns:30px minmax(0,1fr);column-gap:9px;margin-top:14px;justify-items:start}.msg.cont{margin-top:4px}.msg>*{grid-column:2;max-width:100%}.msg>.face{grid-area:1/1/3/2;margin-top:1px}
.msg .name{font-size:12.5px;color:var(--soft);margin:0 0 4px 2px;font-weight:550}.cont>:is(.name,.face){display:none}
.bubble{position:relative;padding:9px 14px;border-radius:18px;border-start-start-radius:6px;background:var(--raised);overflow-wrap:anywhere;max-width:calc(100% - 26px)!important}
.mine{grid-template-columns:minmax(0,1fr);justify-items:end}.mine>*{grid-column:1}.mine .bubble{background:var(--accent);color:var(--on);border-radius:18px;border-end-end-radius:6px;max-width:84%!important}.mine :is(.face,.name){display:none}
.system{grid-template-columns:1fr;justify-items:center;text-align:center;font-size:13px;color:var(--soft)}.system>*{grid-column:1}.system .bubble{background:none;padding:2px 20px;max-width:100%!important}.system :is(.face,.name){display:none}
.meta{display:flex;align-items:center;gap:5px;font-size:11.5px;color:var(--soft);margin:4px 4px 0;font-variant-numeric:tabular-nums}.meta svg{width:13px;height:13px;stroke-width:2.4}.msg:has(+.cont)>.meta:not(.stay){display:none}.meta .retry{color:var(--bad);font-weight:600;text-decoration:underline;text-underline-offset:2px}.failed .meta{color:var(--bad)}
.via{padding:0 6px;border-radius:6px;background:var(--raised);border:1px solid var(--line);font-size:11px;text-transform:capitalize}.pending .bubble{opacity:.72}.failed .bubble{opacity:1;background:none;color:var(--bad);box-shadow:inset 0 0 0 1.5px var(--bad)}
.gone .bubble{background:none;color:var(--soft);font-style:italic;box-shadow:inset 0 0 0 1px var(--line)}
.prose{unicode-bidi:isolate}.plain{white-space:pre-wrap;unicode-bidi:plaintext}.prose>*{margin:0}.prose>*+*{margin-top:.55em}.prose :is(ul,ol){padding-inline-start:1.35em}.prose a{color:inherit;text-underline-offset:2px}.msg:not(.mine) .prose a{color:var(--link)}
.prose pre{white-space:pre-wrap;padding:8px 10px;border-radius:8px;background:#8881}.prose code{font:.92em ui-monospace,Menlo,Consolas,monospace}.prose blockquote{padding-inline-start:10px;border-inline-start:3px solid #8886}
.picks{display:flex;flex-wrap:wrap;gap:7px;margin-top:8px}.picks button{padding:7px 14px;border-radius:17px;font-size:14px;font-weight:560;color:var(--link);box-shadow:inset 0 0 0 1.5px color-mix(in srgb,var(--accent) 45%,var(--line));transition:background .12s}.picks button:not(:disabled):hover{background:var(--tint)}
.picks button:disabled{opacity:.5}.picks [aria-pressed=true]{opacity:1!important;background:var(--accent);color:var(--on);box-shadow:none}
.survey{grid-column:1/-1!important;width:100%;margin-top:10px;padding:14px 12px 12px;border-radius:16px;box-shadow:inset 0 0 0 1px var(--line)}.scale{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(0,1fr);gap:5px}.scale button{height:42px;border-radius:10px;background:var(--raised);text-align:center;line-height:42px;font-weight:600;font-variant-numeric:tabular-nums;transition:transform .12s,background .12s}.scale.wide{gap:3px}.scale.wide button{font-size:13.5px}
.scale button:not(:disabled):hover{background:color-mix(in srgb,var(--accent) 20%,var(--bg));transform:translateY(-2px)}.scale [aria-pressed=true]{background:var(--accent)!important;color:var(--on)}.scale:has([aria-pressed=true]) button:not([aria-pressed=true]){color:var(--soft)}.scale button:disabled:not([aria-pressed=true]){opacity:.5}
.ends{display:flex;justify-content:space-between;gap:16px;margin-top:7px;font-size:12px;color:var(--soft)}.ends :last-child{text-align:end}.thanks{margin:8px 0 0;font-size:12.5px;color:var(--link);text-align:center}
.chip{display:inline-flex;align-items:center;gap:9px;max-width:100%;padding:8px 12px;border-radius:12px;background:var(--raised);font-size:13.5px;text-align:start}.chip .label{min-width:0}.chip bdi{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-weight:550}.chip small{color:var(--soft);font-size:12px}.msg .chip{margin-top:5px;box-shadow:inset 0 0 0 1px var(--line)}.msg .chip:hover{box-shadow:inset 0 0 0 1.5px var(--link)}
.pic{margin-top:5px;max-width:min(100%,270px)!important}.pic img{display:block;max-width:100%;max-height:300px;border-radius:14px;background:var(--raised)}
.dots{display:flex;gap:4px;padding:13px 14px}.dots i{width:7px;height:7px;border-radius:50%;background:var(--soft);animation:dot 1.2s infinite}.dots i:nth-child(2){animation-delay:.15s}.dots i:nth-child(3){animation-delay:.3s}@keyframes dot{0%,60%,100%{opacity:.3}30%{opacity:1;transform:translateY(-3px)}}
.news{position:absolute;z-index:2;inset-inline:0;margin:auto;bottom:100%;margin-bottom:10px;width:max-content;height:max-content;display:flex;gap:5px;align-items:center;padding:6px 14px;border-radius:16px;background:var(--ink);color:var(--bg);font-size:13px;font-weight:560;box-shadow:0 6px 18px #0003}.news svg{width:16px;height:16px}
.foot{position:relative;padding:10px 12px 12px}.wrong{display:flex;gap:8px;margin:0 4px 8px;font-size:13px;color:var(--bad)}
.starters{display:flex;flex-wrap:wrap;justify-content:flex-end;gap:7px;margin:0 2px 10px}
.box{border:1.5px solid var(--line);border-radius:18px;background:var(--bg);transition:border-color .15s,box-shadow .15s}.box:focus-within{border-color:var(--accent);box-shadow:0 0 0 3.5px color-mix(in srgb,var(--accent) 16%,transparent)}.drop .box{border-style:dashed;border-color:var(--accent);background:var(--tint)}
.tray{display:flex;flex-wrap:wrap;gap:6px;padding:9px 9px 0}.tray .chip{max-width:210px;padding:6px 5px 6px 10px;padding-inline:10px 5px}.tray .tool{width:26px;height:26px}.tray svg{width:17px;height:17px}.tray .busy svg:first-child{animation:spin 1s linear infinite}@keyframes spin{to{rotate:1turn}}
.row{display:flex;align-items:flex-end;padding:5px}textarea{all:unset;flex:1;min-width:0;box-sizing:border-box;padding:8px 4px;max-height:132px;overflow-y:auto;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext;text-align:start;scrollbar-width:thin}textarea::placeholder{color:var(--soft);opacity:1}textarea:focus-visible{outline:none}
.send{display:grid;place-items:center;width:36px;height:36px;border-radius:12px;background:var(--accent);color:var(--on)}.send:disabled{background:var(--raised);color:var(--soft)}.send svg{width:20px;height:20px;stroke-width:2.2}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
@media (max-width:480px),(max-height:460px){.root.open{inset:0!important}.open .launch{display:none}.panel{position:fixed;inset:var(--top,0px) 0 auto 0!important;width:100%;height:var(--high,100dvh);border-radius:0;box-shadow:none}textarea{font-size:16px}.foot{padding-bottom:max(10px,env(safe-area-inset-bottom))}}
@media (prefers-color-scheme:dark){.root{--bg:#17191a;--raised:#25292a;--line:#333839;--ink:#eef1f0;--soft:#9aa3a0;--bad:#ff8a7d;--tint:color-mix(in srgb,var(--accent) 17%,var(--bg));--link:color-mix(in srgb,var(--accent) 48%,#fff)}.panel,.menu,.tease{box-shadow:0 0 0 1px #ffffff1a,0 24px 64px -8px #000c}.strip.net{background:#3a2f14;color:#f5d992}}
@media (prefers-reduced-motion:reduce){*,:before,:after{animation:none!important;transition:none!important}}
@media print{:host{display:none!important}}`;

// ── Panel: everything that is seen ──
class Panel extends HTMLElement {
  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();  // a host page's style-src does not forbid constructed sheets
    sheet.replaceSync(SHEET);
    root.adoptedStyleSheets = [sheet];
    this.line = new Line((what, detail) => this["on_" + what]?.(detail));
    this.box = h("div", { class: "root" });
    root.append(this.box);
    this.clear();
    this.tray = [];
    this.paint();
    visualViewport?.addEventListener("resize", () => this.fit());
    visualViewport?.addEventListener("scroll", () => this.fit());
    this.box.addEventListener("keydown", (event) => this.key(event));
    addEventListener("storage", ({ key }) => key === store.key("read") ? this.count() : key === store.key("outbox") && this.prune());
    document.addEventListener("visibilitychange", () => this.seen());
    if (store.get("token") || settings.identity) this.line.connect();
    if (settings.open != null && settings.open !== false && settings.open !== "false") this.open(false);
  }

  clear() {
    this.messages = new Map();  // id → message, in order of seq
    this.pending = new Map();   // client id → {item, node}
    this.asking = [];
    this.upTo = 0;
  }

  // The frame of it, painted anew when the language changes.
  paint() {
    const draft = this.text?.value || "", tool = (name, label, press, more) => h("button", { type: "button", class: "tool", "aria-label": t(label), title: t(label), onclick: press, ...more }, icon(name));
    this.box.dir = locale === "he" ? "rtl" : "ltr";
    this.box.lang = locale;
    this.box.className = `root ${settings.position === "left" || (settings.position !== "right" && locale === "he") ? "left" : ""} ${this.shown ? "open" : ""}`;
    this.badge = h("span", { class: "badge", hidden: true });
    this.launch = h("button", { type: "button", class: "launch", onclick: () => this.toggle() }, this.badge);
    this.head = h("div", { class: "who" });
    this.face = h("span");
    this.more = tool("more", "menu", () => this.menu(), { "aria-haspopup": "menu", "aria-expanded": "false" });
    this.more.firstChild.setAttribute("data-i", "more");
    this.strip = h("div", { class: "strip", role: "status", hidden: true });
    this.net = h("div", { class: "strip net", role: "status", hidden: true });
    this.log = h("div", { class: "log", role: "log", "aria-live": "off", "aria-label": t("log"), tabindex: "0", onscroll: () => this.scrolled() });
    this.dots = h("div", { class: "msg", hidden: true }, h("span", { class: "face" }), h("span", { class: "sr" }), h("div", { class: "bubble dots" }, h("i"), h("i"), h("i")));
    this.wrong = h("div", { class: "wrong", role: "alert", hidden: true });
    this.news = h("button", { type: "button", class: "news", hidden: true, onclick: () => this.toEnd(true) }, icon("down"), t("news"));
    this.trayBox = h("div", { class: "tray", hidden: true });
    this.starters = h("div", { class: "starters picks", hidden: true });
    this.text = h("textarea", { rows: 1, dir: "auto", "aria-label": t("write"), placeholder: t("write"), oninput: () => this.typed(), onpaste: (event) => this.pasted(event) });
    this.text.value = draft;
    this.picker = h("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", onchange: () => { this.add(this.picker.files); this.picker.value = ""; } });
    this.go = h("button", { type: "button", class: "send", "aria-label": t("send"), title: t("send"), onclick: () => this.send() }, icon("send"));
    this.foot = h("div", { class: "foot" }, this.news, this.wrong, this.starters, h("div", { class: "box" }, this.trayBox, h("div", { class: "row" }, tool("clip", "attach", () => this.picker.click()), this.picker, this.text, this.go)));
    this.panel = h("div", {
      class: "panel", role: "dialog", "aria-label": settings.title || t("title"), hidden: !this.shown,
      ondragover: (event) => { event.preventDefault(); this.panel.classList.add("drop"); }, ondragleave: () => this.panel.classList.remove("drop"),
      ondrop: (event) => { event.preventDefault(); this.panel.classList.remove("drop"); this.add(event.dataTransfer.files); },
    }, h("div", { class: "top" }, this.face, this.head, this.more, tool("close", "close", () => this.close())), this.net, this.strip, this.log, this.foot);
    this.box.replaceChildren(this.panel, this.launch);
    new ResizeObserver(() => this.settle()).observe(this.log);
    this.colour();
    this.tell();
    this.redraw();
    this.drawTray();
    this.fit();
    this.caughtUp();
    this.labelLaunch();
    if (this.line.wanted && !this.line.ready) this.on_lost();
  }

  colour() {
    if (!settings.color || !CSS.supports("color", settings.color)) return;
    this.box.style.setProperty("--accent", settings.color);
    requestAnimationFrame(() => {  // white or ink upon it, whichever is easier to read
      const [r, g, b] = (getComputedStyle(this.launch).backgroundColor.match(/[\d.]+/g) || [0, 0, 0]).map((part) => (part / 255) ** 2.2);
      this.box.style.setProperty("--on", 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.36 ? "#14201d" : "#fff");
    });
  }

  avatar(author) {
    const agent = author?.kind === "agent", name = named(author?.name), face = h("span", { class: "face" + (agent ? " agent" : ""), "aria-hidden": "true" }, agent && name ? [...name][0].toUpperCase() : icon("bot"));
    if (agent) face.style.setProperty("--hue", [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7));
    return face;
  }

  /** Who is on the other side, and where the case stands: header and strip. */
  tell() {
    const { status, position, wait_s: wait, agent } = this.case || {}, name = named(agent?.name), held = name && (status === "open" || status === "pending");
    this.over(!!held);
    const author = held ? { kind: "agent", name } : { kind: "bot" };
    const face = this.avatar(author);
    this.face.replaceWith(face);
    this.face = face;
    this.head.replaceChildren(h("b", {}, settings.title || t("title")), h("span", {}, held ? t("with", { n: name }) : status === "queued" ? t("queued") : t("bot")));
    const about = wait > 0 && span(Math.ceil(wait / 60));
    const [sign, words, aside] = status === "queued" ? ["clock", position ? t("queue", { n: position }) : t("queued"), about && t("wait", { t: about })]
      : held ? ["person", t("joined", { n: name })] : status === "resolved" ? ["check", t("resolved")] : [];
    this.strip.hidden = !words;
    if (words) this.strip.replaceChildren(icon(sign), h("span", {}, words, aside && h("small", {}, " · " + aside)));
  }

  /** What was offered to who waits is over once somebody is there. */
  over(held) {
    this.held = held;
    for (const message of held ? this.asking : []) {
      if (message.survey || message.done || message.author.kind !== "system") continue;
      message.done = true;
      if (message.node) this.refresh(message);
    }
  }

  labelLaunch() {
    this.launch.setAttribute("aria-label", t(this.shown ? "close" : "open"));
    this.launch.setAttribute("aria-expanded", String(!!this.shown));
    this.launch.replaceChildren(icon(this.shown ? "down" : "chat"), this.badge);
  }

  // Opening and closing.
  open(focus = true) {
    this.shown = true;
    this.box.classList.add("open");
    this.panel.hidden = false;
    this.tease?.remove();
    this.labelLaunch();
    this.fit();
    this.line.connect();
    this.toEnd();
    if (focus) this.text.focus();
    this.seen();
  }

  close() {
    this.shown = false;
    this.box.classList.remove("open");
    this.panel.hidden = true;
    this.closeMenu();
    this.labelLaunch();
    if (this.shadowRoot.activeElement || document.activeElement === this) this.launch.focus();
  }

  toggle() { if (this.shown) this.close(); else this.open(); }
  full() { return matchMedia("(max-width:480px),(max-height:460px)").matches; }

  fit() {
    const view = window.visualViewport;
    this.panel.setAttribute("aria-modal", String(this.full()));
    if (!view || view.scale > 1.01) return;
    this.box.style.setProperty("--high", view.height + "px");
    this.box.style.setProperty("--top", view.offsetTop + "px");
    if (this.atEnd !== false) this.toEnd();
  }

  key(event) {
    const active = this.shadowRoot.activeElement;
    if (event.key === "Escape" && this.shown) {
      event.stopPropagation();
      if (this.menuBox) { this.closeMenu(); this.more.focus(); } else { this.close(); this.launch.focus(); }
    } else if (event.key === "Enter" && active === this.text && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.send();
    } else if (this.menuBox && /^Arrow(Up|Down)$/.test(event.key)) {
      event.preventDefault();
      const items = [...this.menuBox.querySelectorAll("button")];
      items.at((items.indexOf(active) + (event.key === "ArrowUp" ? -1 : 1)) % items.length).focus();
    } else if (event.key === "Tab" && this.shown && this.full()) {
      const stops = [...this.panel.querySelectorAll("button,a[href],textarea,[tabindex='0']")].filter((node) => !node.disabled && node.getClientRects().length);
      const edge = event.shiftKey ? stops[0] : stops.at(-1);
      if (active === edge) { event.preventDefault(); (event.shiftKey ? stops.at(-1) : stops[0]).focus(); }
    }
    if (event.key !== "Escape") event.stopPropagation();  // the host page's shortcuts are not meant by what is typed here
  }

  menu() {
    if (this.menuBox) return this.closeMenu();
    const item = (sign, words, press, checked, role = "menuitem") => h("button", { type: "button", role, "aria-checked": checked == null ? null : String(checked), onclick: () => { this.closeMenu(); press(); } },
      sign && icon(sign), words, checked != null && h("span", { class: "tick" }, icon("check")));
    this.menuBox = h("div", { class: "menu", role: "menu", "aria-label": t("menu") },
      item("person", t("human"), () => this.say(t("say"))), item("link", t("link"), () => this.say("/link")),
      item("sound", t("sound"), () => store.set("sound", !store.get("sound")), !!store.get("sound"), "menuitemcheckbox"),
      h("p", {}, t("language")), Object.entries(NAMES).map(([code, name]) => item(null, h("bdi", { lang: code }, name), () => this.speak(code), code === locale, "menuitemradio")));
    this.panel.append(this.menuBox);
    this.more.setAttribute("aria-expanded", "true");
    this.menuBox.querySelector("button").focus();
    this.outside = (event) => event.composedPath().some((node) => node === this.menuBox || node === this.more) || this.closeMenu();
    addEventListener("pointerdown", this.outside);
  }

  closeMenu() {
    this.menuBox?.remove();
    this.menuBox = null;
    this.more.setAttribute("aria-expanded", "false");
    removeEventListener("pointerdown", this.outside);
  }

  speak(code) {
    if (!nearest(code)) return;
    locale = nearest(code);
    store.set("locale", { locale, page });
    this.paint();
    if (this.shown) this.text.focus();
    if (this.line.wanted) this.line.reintroduce().catch(() => this.on_unavailable());
  }

  // Writing.
  /** Whether it went on its way: what the server would only hang up on is refused here, whoever says it. */
  say(text, files = []) {
    const isTooLong = [...text].length > TEXT_LIMIT || new TextEncoder().encode(JSON.stringify(text)).length > FRAME_LIMIT;
    this.problem(isTooLong ? t("too_long") : undefined);
    if (isTooLong) return false;
    this.line.post({ text, files });
    this.toEnd(true);
    return true;
  }

  send() {
    const text = this.text.value.trim(), files = this.tray.filter((file) => file.id);
    if ((!text && !files.length) || this.tray.some((file) => file.busy)) return;
    if (!this.say(text, files.map(({ id, name, type, size }) => ({ id, name, type, size })))) return;
    this.text.value = "";
    this.tray = [];
    this.drawTray();
    this.text.focus();
  }

  typed() {
    this.grow();
    if (this.text.value && Date.now() - (this.typedAt || 0) > 3000) {
      this.typedAt = Date.now();
      this.line.whisper({ type: "typing" });
    }
  }

  grow() {
    this.text.dir = this.text.value ? "auto" : this.box.dir;  // an empty "auto" is left to right, and so would be its placeholder
    this.text.style.height = "auto";
    if (this.text.scrollHeight) this.text.style.height = this.text.scrollHeight + "px";
    this.go.disabled = this.tray.some((file) => file.busy) || !(this.text.value.trim() || this.tray.length);
  }

  pasted(event) {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    this.add(event.clipboardData.files);
  }

  async add(files) {
    for (const file of [...files].slice(0, FILES_LIMIT - this.tray.length)) {
      if (file.size > FILE_LIMIT) this.problem(t("file_large", { n: named(file.name) }));
      else this.upload(file);
    }
  }

  async upload(file) {
    const entry = { name: file.name, size: file.size, busy: true }, body = new FormData();
    body.append("file", file);
    this.tray.push(entry);
    this.drawTray();
    try {
      const answer = await this.line.file(api("files"), { method: "POST", body });
      if (!answer.ok) throw answer.status === 413 ? "file_large" : answer.status === 429 || answer.status > 499 ? "file_failed" : "file_refused";
      Object.assign(entry, await answer.json(), { busy: false });
    } catch (why) {
      this.tray = this.tray.filter((one) => one !== entry);
      this.problem(t(typeof why === "string" ? why : "file_failed", { n: named(file.name) }));
    }
    this.drawTray();
  }

  drawTray() {
    this.trayBox.hidden = !this.tray.length;
    this.trayBox.replaceChildren(...this.tray.map((entry) => h("span", { class: "chip" + (entry.busy ? " busy" : "") }, icon(entry.busy ? "clock" : "file"), h("span", { class: "label" }, h("bdi", {}, named(entry.name))),
      h("button", { type: "button", class: "tool", "aria-label": `${t("remove")}: ${named(entry.name)}`, onclick: () => { this.tray = this.tray.filter((one) => one !== entry); this.drawTray(); this.text.focus(); } }, icon("close")))));
    this.grow();
  }

  problem(words) {
    clearTimeout(this.wrongTimer);
    this.wrong.hidden = !words;
    this.wrong.textContent = words || "";
    if (words) this.wrongTimer = setTimeout(() => this.problem(), 9000);
  }

  // What the line tells.
  on_reset() { this.clear(); this.told = null; this.case = null; this.tell(); this.redraw(); this.count(); }
  on_left() { this.on_reset(); this.text.value = ""; this.tray = []; this.urls = null; this.drawTray(); this.problem(); }
  on_session(answer) {
    const told = nearest(answer.locale);
    if (told && told !== locale) { locale = told; this.paint(); }
  }

  on_ready(frame) {
    this.upTo = frame.last_seq;
    if ((store.get("read") ?? Infinity) > frame.last_seq) store.set("read", frame.last_seq);
    this.case = frame.case;
    clearTimeout(this.lostTimer);
    this.net.hidden = true;
    this.tell();
    this.caughtUp();
    this.restate();
  }

  on_lost() {
    clearTimeout(this.lostTimer);
    this.lostTimer = setTimeout(() => this.network(navigator.onLine ? "lost" : "offline"), navigator.onLine ? 1500 : 0);
    this.restate();
  }

  on_unavailable() { clearTimeout(this.lostTimer); this.network(navigator.onLine ? "unavailable" : "offline"); }
  network(key) { this.net.hidden = false; this.net.replaceChildren(icon("clock"), h("span", {}, t(key))); }

  on_case(frame) {
    const before = this.case?.status;
    this.case = frame;
    this.tell();
    if (frame.status === "open" && before !== "open") this.chime();
  }

  on_typing({ author }) {
    const face = this.avatar(author);
    this.dots.firstChild.replaceWith(face);
    this.dots.children[1].textContent = t("typing", { n: named(author?.name) || t("assistant") });
    this.dots.hidden = false;
    clearTimeout(this.dotsTimer);
    this.dotsTimer = setTimeout(() => { this.dots.hidden = true; }, 6000);
    this.settle();
  }

  on_problem({ code, message, wait, id }) {
    const key = code === "file_refused" || !WORDS.en[code] ? null : code;
    const name = (this.pending.get(id)?.item.files || []).map((file) => named(file.name)).join(", ");
    this.problem(code === "file_refused" ? t(code, { n: name }) : key ? t(key, { n: wait }) : named(message).slice(0, 200) || t("error"));
  }

  on_frame(frame) {
    if (frame.type === "message") {
      const twin = [...this.pending.values()].find(({ item, seq }) => item.id === frame.id || seq === frame.seq) || (frame.author.kind === "customer" && [...this.pending.values()].find(({ item, seq }) => !item.failed && seq == null && item.text === frame.text && (item.files || []).length === (frame.files || []).length));
      if (twin) this.unpend(twin.item.id);
      this.messages.set(frame.id, frame);
      this.draw(frame);
      if (frame.author.kind === "customer") this.answered(frame);
      else this.arrived(frame);
    } else {
      this.change(frame);
    }
    this.caughtUp();
    this.settle();
  }

  /** A frame for what we already showed by its acknowledgement alone: take the server's word for it. */
  on_known(frame) {
    const old = [...this.messages.values()].find((message) => message.seq === frame.seq);
    if (old) this.messages.delete(old.id);
    if (frame.type === "message") this.messages.set(frame.id, frame);
    else this.change(frame);
    this.redraw();
  }

  change(frame) {
    const message = this.messages.get(frame.id);
    if (!message) return;
    if (frame.type === "delete") Object.assign(message, { deleted: true, text: "", html: "", files: [] });
    else Object.assign(message, { text: frame.text, html: frame.html, edited: true });
    const score = frame.type === "edit" && this.asking.find((one) => one.reply === message.id), hit = score && match(score, message);
    if (hit) { score.chosen = hit.value; this.refresh(score); }
    this.refresh(message);
  }

  on_pending(item) {
    if (this.pending.has(item.id) || this.messages.has(item.id)) return this.restate();
    const entry = { item, node: null };
    this.pending.set(item.id, entry);
    this.drawPending(entry);
    this.welcome();
    this.settle(true);
  }

  on_acked({ id, seq }) {
    const entry = this.pending.get(id);
    if (!entry) return;
    entry.seq = seq;
    if (seq <= this.line.last) this.unpend(id);
    else this.restate();
  }

  on_failed({ id }) { const entry = this.pending.get(id); if (entry) { entry.item.failed = true; this.drawPending(entry); this.unpress(entry.item); } }

  unpend(id) { this.pending.get(id)?.node.remove(); this.pending.delete(id); }
  /** Another tab sent what we both held. */
  prune() { const held = new Set(this.line.outbox().map((item) => item.id)); for (const [id, { seq }] of this.pending) if (!held.has(id) && seq == null) this.unpend(id); }
  restate() { for (const entry of this.pending.values()) this.drawPending(entry); }

  // Drawing messages: only ever added at the end; each is drawn again by itself when it changes.
  redraw() {
    this.log.replaceChildren();
    this.previous = null;
    this.welcome();
    for (const message of this.messages.values()) this.draw(message);
    for (const entry of this.pending.values()) this.log.append((entry.node = this.pendingNode(entry)));
    this.log.append(this.dots);
    this.toEnd();
  }

  welcome() {
    const empty = !this.messages.size && !this.pending.size, starters = [].concat(settings.starters || []);
    if (empty && !this.hello?.isConnected) this.log.prepend((this.hello = h("div", { class: "hello" }, this.avatar(), h("h2", {}, t("hello")), h("p", {}, t("intro")))));
    if (!empty) this.hello?.remove();
    this.starters.hidden = !empty || !starters.length;
    this.starters.replaceChildren(...starters.map((words) => h("button", { type: "button", dir: "auto", onclick: () => this.say(String(words)) }, String(words))));
  }

  draw(message) {
    const at = new Date(message.at), before = this.previous, sameDay = before && new Date(before.at).toDateString() === at.toDateString();
    message.follows = sameDay && before.author.kind === message.author.kind && (before.author.name || "") === (message.author.name || "") && at - new Date(before.at) < 3e5 && !before.survey;
    this.previous = message;
    if (message.choices?.length && message.chosen === undefined) {
      const press = (store.get("chosen") || {})[message.id];
      if (press) [message.chosen, message.pressedAt] = press;
      message.done = !message.survey && (!!press || (this.held && message.author.kind === "system"));
      this.asking.push(message);
    }
    this.welcome();
    const first = this.log.querySelector(".pending") || (this.dots.isConnected ? this.dots : null);
    if (!sameDay) this.log.insertBefore(h("div", { class: "day" }, dayOf(at)), first);
    message.node = this.node(message);
    this.log.insertBefore(message.node, first);
  }

  refresh(message) {
    const node = this.node(message), focused = this.shadowRoot.activeElement?.dataset.value;
    message.node.replaceWith(node);
    message.node = node;
    if (focused != null) [...node.querySelectorAll("button")].find((button) => button.dataset.value === focused)?.focus();
  }

  node(message) {
    const { kind, name } = message.author, at = new Date(message.at), mine = kind === "customer", who = mine ? t("you") : named(name) || (kind === "bot" ? t("assistant") : "");
    const meta = h("div", { class: "meta" + (message.edited || message.channel !== "web" ? " stay" : "") },
      message.channel && message.channel !== "web" && h("span", { class: "via" }, message.channel), h("time", { datetime: message.at, title: at.toLocaleString(locale) }, clock(at)),
      message.edited && !message.deleted && h("span", {}, "· " + t("edited")), mine && !message.deleted && icon("check"));
    return h("div", { class: `msg ${mine ? "mine" : kind} ${message.follows ? "cont" : ""} ${message.deleted ? "gone" : ""}`, "data-seq": message.seq },
      this.avatar(message.author), h("bdi", { class: "name" }, who), mine && h("span", { class: "sr" }, who),
      message.deleted ? h("div", { class: "bubble" }, t("deleted")) : (message.text || message.html) && h("div", { class: "bubble" }, prose(message)),
      (message.files || []).map((file) => this.fileNode(file)), message.choices?.length && !message.deleted && (message.survey ? this.survey(message) : this.choices(message)), kind !== "system" && meta);
  }

  pendingNode({ item, seq }) {
    const state = item.failed ? t("failed") : seq != null ? t("sent") : this.line.ready || navigator.onLine ? t("sending") : t("waiting");
    return h("div", { class: "msg mine pending" + (item.failed ? " failed" : ""), "data-id": item.id }, item.text && h("div", { class: "bubble" }, prose({ text: item.text })), (item.files || []).map((file) => this.chip(file)),
      h("div", { class: "meta stay" }, state, item.failed && [h("button", { type: "button", class: "retry", onclick: () => this.again(item) }, t("retry")), h("button", { type: "button", class: "retry", onclick: () => { this.line.drop(item.id); this.unpend(item.id); this.welcome(); } }, t("remove"))]));
  }

  drawPending(entry) {
    const node = this.pendingNode(entry);
    if (entry.node?.isConnected) entry.node.replaceWith(node);
    else this.log.insertBefore(node, this.dots);
    entry.node = node;
  }

  again(item) { item.failed = false; this.restate(); this.line.retry(item.id); }

  choices(message) {
    return h("div", { class: "picks", role: "group" }, message.choices.map(({ value, label }) => h("button", {
      type: "button", dir: "auto", "data-value": value, "aria-pressed": String(message.chosen === value), disabled: message.done, onclick: () => this.press(message, value, label) }, label)));
  }

  survey(message) {
    const { low, high } = message.survey, late = Date.now() - (message.pressedAt || Date.now()) > DAY, last = message.choices.length - 1;
    return h("div", { class: "survey" }, h("div", { class: "scale" + (last > 8 ? " wide" : ""), role: "group", "aria-label": message.text || t("bare") }, message.choices.map(({ value, label }, index) => h("button", {
      type: "button", "data-value": value, disabled: late, "aria-pressed": String(message.chosen === value), "aria-label": [label, index === 0 ? low : index === last ? high : ""].filter(Boolean).join(", "),
      onclick: () => message.chosen === value || this.press(message, value, label) }, label))),
    h("div", { class: "ends" }, h("bdi", {}, low || ""), h("bdi", {}, high || "")), message.chosen != null && !late && h("p", { class: "thanks" }, t("saved")));
  }

  press(message, value, label) {
    const before = [message.chosen, message.done];
    Object.assign(message, { chosen: value, pressedAt: message.pressedAt || Date.now(), done: !message.survey, before });
    this.note(message);
    this.refresh(message);
    this.line.post({ message: message.id, value, text: label });
  }

  note({ id, chosen, pressedAt }) {
    const presses = Object.entries(store.get("chosen") || {}).filter(([key]) => key !== id).slice(-40);
    store.set("chosen", Object.fromEntries(chosen == null ? presses : [...presses, [id, [chosen, pressedAt]]]));
  }

  /** A press was refused: the buttons are as they were. */
  unpress(item) {
    const message = this.messages.get(item.message);
    if (!message) return;
    [message.chosen, message.done] = message.before || [];
    this.note(message);
    this.refresh(message);
  }

  /** The customer said something: what was asked before is answered by it, a survey only by a score. */
  answered(reply) {
    for (const message of this.asking) {
      const { pressed } = reply, hit = pressed ? pressed.message === message.id && message.choices.find(({ value }) => value === pressed.value) : match(message, reply);
      const chosen = pressed && hit ? hit.value : message.chosen ?? hit?.value;
      if (message.survey ? hit : !message.done) Object.assign(message, { chosen, pressedAt: message.pressedAt ?? +new Date(reply.at), done: !message.survey });
      if (message.survey && hit?.value === message.chosen) message.reply = reply.id;
      if (message.survey ? hit : message.done) this.refresh(message);
    }
    this.asking = this.asking.filter((message) => !message.done);
  }

  chip(file, press) {
    return h(press ? "button" : "span", { class: "chip", ...(press && { type: "button", onclick: press }) }, icon("file"), h("span", { class: "label" }, h("bdi", {}, named(file.name)), h("small", { dir: "auto" }, bytes(file.size || 0))));
  }

  fileNode(file) {
    const chip = this.chip(file, () => this.fetch(file).then((url) => this.save(url, file), () => this.problem(t("file_gone"))));
    if (!PICTURES.has(file.type)) return chip;
    const picture = h("img", { alt: named(file.name), onload: () => this.settle(), onerror: () => box.replaceWith(chip) }), box = h("a", { class: "pic", target: "_blank", rel: "noopener" }, picture);
    this.fetch(file).then((url) => { picture.src = box.href = url; }, () => box.replaceWith(chip));
    return box;
  }

  /** The file as a blob URL, never of a type that could run in the host page's name; fetched once. */
  fetch(file) {
    this.urls ??= new Map();
    if (!this.urls.has(file.id)) {
      const own = api("files/" + encodeURIComponent(file.id)), told = new URL(file.url || own, base), path = told.origin === new URL(base).origin ? told.href : own;
      const type = PICTURES.has(file.type) ? file.type : "application/octet-stream";
      this.urls.set(file.id, this.line.file(path).then(async (answer) => {
        if (!answer.ok) throw new Error("file " + answer.status);
        return URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type }));
      }));
      this.urls.get(file.id).catch(() => this.urls.delete(file.id));
    }
    return this.urls.get(file.id);
  }

  save(url, file) { h("a", { href: url, download: named(file.name) || "file" }).click(); }

  // Reading: where the eye is, what is new.
  scrolled() {  // only a hand scrolls up; what grows below must not look like it
    const { scrollTop, scrollHeight, clientHeight } = this.log;
    if (scrollHeight - scrollTop - clientHeight < 60) this.atEnd = true;
    else if (scrollTop < this.top - 2 && clientHeight === this.tall) this.atEnd = false;
    [this.top, this.tall] = [scrollTop, clientHeight];
    if (this.atEnd) { this.news.hidden = true; this.seen(); }
  }

  toEnd(force) {
    if (force) this.atEnd = true;
    this.settle();
  }

  settle(force) {
    if (force) this.atEnd = true;
    if (this.settling) return;
    this.settling = requestAnimationFrame(() => {
      this.settling = null;
      if (this.atEnd !== false) this.log.scrollTop = this.log.scrollHeight;
      requestAnimationFrame(() => { if (this.atEnd !== false) this.log.scrollTop = this.log.scrollHeight; });
      this.seen();
    });
  }

  /** The history is not read aloud; what comes after it is. */
  caughtUp() { if (this.line.ready && this.line.last >= this.upTo) this.log.setAttribute("aria-live", "polite"); this.count(); }

  arrived(message) {
    this.dots.hidden = true;
    if (message.seq <= this.upTo) return;
    if (this.shown && this.atEnd === false) this.news.hidden = false;
    if (!this.shown || document.hidden) this.chime();
    const words = prose(message).textContent.trim();
    if (!this.shown && words) {
      this.tease?.remove();
      this.tease = h("button", { type: "button", class: "tease", dir: "auto", onclick: () => this.open() }, words.slice(0, 200));
      this.box.append(this.tease);
    }
  }

  seen() {
    if (!this.shown || document.hidden || this.atEnd === false || !(this.line.last > (this.told ?? store.get("read") ?? -1))) return;
    this.told = this.line.last;
    store.set("read", this.told);
    this.line.whisper({ type: "read", seq: this.told });
    this.count();
  }

  count() {
    const read = store.get("read") ?? Infinity, unread = [...this.messages.values()].filter(({ seq, author, deleted }) => seq > read && author.kind !== "customer" && !deleted).length;
    this.badge.hidden = !unread || this.shown;
    this.badge.textContent = unread > 99 ? "99+" : unread;
    if (!unread) this.tease?.remove();
  }

  chime() {
    if (!store.get("sound")) return;
    try {
      const audio = (this.audio ??= new AudioContext()), tone = audio.createOscillator(), gain = audio.createGain(), now = audio.currentTime;
      tone.frequency.setValueAtTime(587, now);
      tone.frequency.setValueAtTime(880, now + 0.09);
      gain.gain.setValueAtTime(0.05, now);
      gain.gain.exponentialRampToValueAtTime(0.0001, now + 0.4);
      tone.connect(gain).connect(audio.destination);
      tone.start();
      tone.stop(now + 0.4);
    } catch { /* no sound card */ }
  }
}
const match = (message, reply) => message.choices.find(({ value, label }) => reply.text === value || reply.text === label);

// ── On the page ──
customElements.define("stafett-widget", Panel);
let panel;
const ready = new Promise((resolve) => {
  const put = () => { panel = new Panel(); document.body.append(panel); resolve(panel); };
  if (document.body) put();
  else addEventListener("DOMContentLoaded", put, { once: true });
});
window.Stafett = Object.freeze({
  open: () => ready.then((it) => it.open()),
  close: () => ready.then((it) => it.close()),
  /** Opens, and says this as the customer: for a page's own "ask us" buttons. */
  say: (text) => ready.then((it) => { it.open(); it.say(String(text)); }),
  /** The host site's signed token (JWT) of who is signed in; null forgets it. */
  identify: (jwt) => ready.then((it) => it.line.become(jwt)),
  get locale() { return locale; },
  set locale(code) { ready.then((it) => it.speak(code)); },
});
})();
