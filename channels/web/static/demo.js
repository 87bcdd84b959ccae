/* Language and buttons of the demo page, and of the plain page that stands in its place where the desk is somebody's own.
   It runs before the page is drawn, so that the widget (a later script) finds the language set. English stands in the HTML. */
(() => {
"use strict";
const WORDS = {
  en: { ask: "Where is my order?", phrase: "Talk to a human" },
  nl: {
    page: "Stafett-demowinkel", brand: "Stafett-demowinkel", title: "Alles voor de volgende etappe.",
    lead: "Deze winkel is verzonnen. De chat in de hoek is echt: eerst antwoordt een bot, een mens neemt het stokje over als dat nodig is, en één vraag aan het eind vertelt hoe het ging.",
    try: "Open de chat", desk: "Medewerkersdesk", admin: "Console", tour: "De rondleiding: twee tabbladen, één minuut",
    s1: "Vraag het de bot", p1: "Open de chat en vraag “waar is mijn bestelling”. De bot wil een bestelnummer: AB123456.", ask: "Waar is mijn bestelling?",
    s2: "Vraag om een mens", p2: "Zeg “medewerker”. Je hoort je plaats in de wachtrij.", phrase: "Medewerker",
    s3: "Wees die mens", p3: "Open de desk in een tweede tabblad. Het hele verhaal staat er: neem de zaak aan en antwoord.", go: "Open de desk",
    s4: "Los op, en geef een score", p4: "Rond de zaak af op de desk. Hier zegt één tik hoe makkelijk het ging. De score staat in de console.", see: "Bekijk de score",
    wares: "Dit seizoen", w1: "Estafettestokje, berken", w2: "Stalen fles, 0,6 l", w3: "Regenpet", w4: "Wollen sokken, twee paar",
    foot: "Hier is niets te koop. Stafett is open source: één scripttag zet deze chat op je eigen pagina.",
    own: "Op deze pagina kun je de chat in de hoek proberen, zoals klanten die zien: eerst antwoordt een bot, en een mens neemt het over als dat nodig is.", tag: "Eén scripttag zet deze chat op je eigen pagina.",
  },
  nb: {
    page: "Stafett demobutikk", brand: "Stafett demobutikk", title: "Alt til neste etappe.",
    lead: "Denne butikken er oppdiktet. Chatten i hjørnet er ekte: først svarer en bot, et menneske tar over pinnen når det trengs, og ett spørsmål til slutt forteller hvordan det gikk.",
    try: "Åpne chatten", desk: "Medarbeidernes desk", admin: "Konsoll", tour: "Omvisningen: to faner, ett minutt",
    s1: "Spør boten", p1: "Åpne chatten og spør «hvor er bestillingen min». Den vil ha et ordrenummer: AB123456.", ask: "Hvor er bestillingen min?",
    s2: "Be om et menneske", p2: "Si «snakke med et menneske». Du får vite plassen din i køen.", phrase: "Snakke med et menneske",
    s3: "Vær det mennesket", p3: "Åpne desken i en ny fane. Hele historien står der: ta saken og svar.", go: "Åpne desken",
    s4: "Løs saken, gi poeng", p4: "Løs saken i desken. Her sier ett trykk hvor lett det var. Poengene står i konsollen.", see: "Se poengene",
    wares: "Denne sesongen", w1: "Stafettpinne i bjørk", w2: "Stålflaske, 0,6 l", w3: "Regncaps", w4: "Ullsokker, to par",
    foot: "Ingenting her er til salgs. Stafett er åpen kildekode: én script-tagg setter chatten på din egen side.",
    own: "Her kan du prøve chatten i hjørnet slik kundene ser den: først svarer en bot, og et menneske tar over når det trengs.", tag: "Én script-tagg setter denne chatten på din egen side.",
  },
  he: {
    page: "חנות ההדגמה של Stafett", brand: "חנות ההדגמה של Stafett", title: "כל מה שצריך לקטע הבא.",
    lead: "החנות הזאת מומצאת. הצ׳אט שבפינה אמיתי: קודם עונה בוט, אדם לוקח את המקל כשצריך, ושאלה אחת בסוף מספרת איך היה.",
    try: "לפתיחת הצ׳אט", desk: "עמדת הנציגים", admin: "ניהול", tour: "הסיור: שתי לשוניות, דקה אחת",
    s1: "שואלים את הבוט", p1: "פותחים את הצ׳אט ושואלים ״איפה ההזמנה שלי״. הבוט מבקש מספר הזמנה: AB123456.", ask: "איפה ההזמנה שלי?",
    s2: "מבקשים אדם", p2: "כותבים ״נציג״, ומיד רואים את המקום בתור.", phrase: "נציג",
    s3: "להיות הנציג", p3: "פותחים את עמדת הנציגים בלשונית שנייה. כל השיחה כבר שם: לוקחים את הפנייה ועונים.", go: "לעמדת הנציגים",
    s4: "פותרים ומדרגים", p4: "סוגרים את הפנייה בעמדה. כאן, בלחיצה אחת, אומרים כמה זה היה קל. הציון מופיע בניהול.", see: "לצפייה בציון",
    wares: "העונה", w1: "מקל שליחים מעץ לבנה", w2: "בקבוק פלדה, 0.6 ל׳", w3: "כובע גשם", w4: "גרבי צמר, שני זוגות",
    foot: "שום דבר כאן אינו למכירה. Stafett הוא קוד פתוח: תגית script אחת מציבה את הצ׳אט הזה גם באתר שלך.",
    own: "בדף הזה אפשר לנסות את הצ׳אט שבפינה כפי שהלקוחות יראו אותו: קודם עונה בוט, ואדם נכנס לתמונה כשצריך.", tag: "תגית script אחת מציבה את הצ׳אט הזה באתר שלך.",
  },
};
const root = document.documentElement, own = root.dataset.locales?.split(" "), known = own || Object.keys(WORDS);
const base = (tag) => tag.toLowerCase().split("-")[0].replace(/^no$/, "nb").replace(/^iw$/, "he");
const asked = new URLSearchParams(location.search).get("locale"), tongues = [asked || [], navigator.languages || []].flat();
const locale = tongues.map((tag) => known.find((one) => one === tag) || known.find((one) => base(one) === base(tag))).find(Boolean) || known[0];
const spoken = [locale, base(locale), "en"].find((one) => WORDS[one]), words = WORDS[spoken];
root.lang = spoken;
root.dir = spoken === "he" ? "rtl" : "ltr";
window.StafettSettings = { locale, ...(own ? {} : { starters: [words.ask, words.phrase] }), ...window.StafettSettings };

addEventListener("DOMContentLoaded", () => {
  if (words.page && !own) document.title = words.page;
  for (const node of document.querySelectorAll("[data-t]")) if (words[node.dataset.t]) node.textContent = words[node.dataset.t];
  for (const node of document.querySelectorAll("[data-price]")) node.textContent = new Intl.NumberFormat(locale, { style: "currency", currency: "EUR", maximumFractionDigits: 0 }).format(node.dataset.price);
  for (const node of document.querySelectorAll("[data-origin]")) node.textContent = location.origin;
  if (own?.length > 1) for (const tag of own) document.querySelector(".tongues").append(Object.assign(document.createElement("a"), { href: `?locale=${tag}`, lang: tag, hreflang: tag, textContent: new Intl.DisplayNames([tag], { type: "language" }).of(tag) }));
  document.querySelector(`.tongues [hreflang="${locale}"]`)?.setAttribute("aria-current", "true");
  document.querySelector("[data-open]").addEventListener("click", () => window.Stafett?.open());
  for (const node of document.querySelectorAll("[data-say]")) node.addEventListener("click", () => window.Stafett?.say(words[node.dataset.say]));
});
})();
