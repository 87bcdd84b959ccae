// Draws the charts from the data beside them, and asks every two seconds whether anything is new.

const EVERY = 2000; // ms
const here = document.getElementById("figures");
const rtl = document.documentElement.dir === "rtl";
const still = matchMedia("(prefers-reduced-motion: reduce)").matches, paper = matchMedia("print");
const locale = document.documentElement.lang;
const shortDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
const named = label => (/^\d{4}-\d\d-\d\d$/.test(label) ? shortDay.format(new Date(label)) : label);
let drawn = [];

// `light-dark(…)` is resolved only on a property, so a probe wears the colour.
function resolved(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
const faint = (shade, part) => shade.replace(/^rgba?\(([^)]+)\)$/, (_, inner) => {
  const [r, g, b] = inner.split(/[ ,/]+/);
  return `rgba(${r}, ${g}, ${b}, ${part})`;
});

function datasets(data) {
  if (data.kind === "lines") {
    const shades = ["--green", "--blue", "--amber", "--red", "--soft", "--ink"].map(resolved);
    const dashes = [[], [6, 3], [2, 2], [8, 3, 2, 3], [], [4, 4]];
    return data.lines.map((one, at) => ({
      label: one.name, data: one.values, borderColor: shades[at % shades.length], backgroundColor: shades[at % shades.length],
      borderDash: dashes[at % dashes.length], borderWidth: 2, pointRadius: 2, tension: 0,
    }));
  }
  const green = resolved("--green");
  if (data.kind === "bars") return [{ label: "n", data: data.values, backgroundColor: green, borderRadius: 4 }];
  const soft = resolved("--soft");
  const shade = data.grey.map(one => (one ? soft : green));
  const edge = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, tension: 0, spanGaps: false };
  return [
    { ...edge, label: "high", data: data.high, fill: "+1", backgroundColor: faint(green, 0.16), band: true },
    { ...edge, label: "low", data: data.low, fill: false, band: true },
    { label: data.name, data: data.values, borderColor: green, pointBackgroundColor: shade, pointBorderColor: shade, borderWidth: 2, pointRadius: 3.5, tension: 0, spanGaps: true },
  ];
}

function options(data) {
  const ink = resolved("--soft"), line = resolved("--line");
  const unit = data.scale.unit ? ` ${data.scale.unit}` : "";
  return {
    responsive: true, maintainAspectRatio: false, animation: still || paper.matches ? false : { duration: 250 },
    interaction: { mode: "index", intersect: false },
    scales: {
      x: { reverse: rtl, grid: { display: false }, ticks: { color: ink, maxRotation: 0, autoSkipPadding: 14 }, border: { color: line } },
      y: {
        position: rtl ? "right" : "left", min: data.scale.min ?? undefined, max: data.scale.max ?? undefined,
        grid: { color: line }, border: { display: false }, ticks: { color: ink, precision: 0, callback: value => `${value}${unit}` },
      },
    },
    plugins: {
      legend: { display: data.kind === "lines", rtl, labels: { color: ink, usePointStyle: true, pointStyle: "line" } },
      tooltip: {
        rtl, textDirection: rtl ? "rtl" : "ltr",
        filter: item => !item.dataset.band,
        callbacks: {
          label: item => {
            if (data.kind !== "band") return ` ${item.dataset.label}: ${item.formattedValue}`;
            const [, n, value, span] = data.rows[item.dataIndex];
            return ` ${value}${span ? `  (${span})` : ""}  n = ${n}`;
          },
        },
      },
    },
  };
}

function draw() {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.locale = locale;
  drawn.forEach(one => one.destroy());
  drawn = [...here.querySelectorAll(".draw")].map(place => {
    const data = JSON.parse(place.querySelector("script").textContent);
    const type = data.kind === "bars" ? "bar" : "line";
    return new Chart(place.querySelector("canvas"), { type, data: { labels: data.labels.map(named), datasets: datasets(data) }, options: options(data) });
  });
}

let timer = 0;
async function look() {
  clearTimeout(timer);
  if (!document.hidden) {
    const seen = here.querySelector("[data-seen]")?.dataset.seen ?? "";
    try {
      const answer = await fetch(`${here.dataset.live}&seen=${encodeURIComponent(seen)}`, { headers: { "hx-request": "true" } });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.status === 200) replace(await answer.text());
    } catch { /* the server is away: the next look will tell */ }
  }
  timer = setTimeout(look, EVERY);
}

function replace(html) {
  const open = [...here.querySelectorAll("details")].map(one => one.open);
  const parsed = new DOMParser().parseFromString(html, "text/html");
  here.replaceChildren(...parsed.body.children);
  here.querySelectorAll("details").forEach((one, at) => { one.open = open[at] ?? false; });
  draw();
  document.querySelector("[data-news]").textContent = here.dataset.changed;
}

// The filters stay open where there is room, and where one is chosen.
const sift = document.querySelector("[data-sift]"), chosen = sift.open;
const wide = matchMedia("(min-width: 60rem)");
const fit = () => { sift.open = wide.matches || chosen; };
wide.addEventListener("change", fit);
fit();

const form = document.querySelector("[data-filters]");
form.querySelector("[data-plain]").hidden = true;
form.addEventListener("change", () => { if (form.checkValidity()) form.requestSubmit(); });
form.addEventListener("formdata", event => {
  for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
});
document.querySelector("[data-print]").addEventListener("click", () => print());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
paper.addEventListener("change", draw);  // paper is light, whatever the screen is
addEventListener("beforeprint", () => drawn.forEach(one => one.resize()));
document.addEventListener("visibilitychange", look);
draw();
timer = setTimeout(look, EVERY);
