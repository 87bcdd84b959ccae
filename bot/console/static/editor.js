// The editor around its textarea: line numbers with marks, faults and boxes that lead to their line, keys, unsaved work.
// Without this file the textarea, the faults of the last load and the button "save" still work.

const form = document.querySelector("[data-editor]");
const box = form.querySelector("textarea");
const gutter = form.querySelector(".gutter");
const dirty = form.querySelector("[data-dirty]");
const LINE = 20; // px, as in editor.css
const saved = box.value;

function lines() {
  const count = box.value.split("\n").length;
  while (gutter.children.length > count) gutter.lastChild.remove();
  while (gutter.children.length < count) {
    const one = document.createElement("span");
    one.textContent = String(gutter.children.length + 1);
    gutter.append(one);
  }
}

function marks() {
  for (const one of gutter.querySelectorAll(".fault, .warning")) one.classList.remove("fault", "warning");
  const wrong = new Set();
  for (const link of document.querySelectorAll("#checked [data-line]")) {
    const line = Number(link.dataset.line);
    const kind = link.closest("li").classList.contains("warning") ? "warning" : "fault";
    gutter.children[line - 1]?.classList.add(kind);
    if (kind === "fault") wrong.add(line);
  }
  // No picture was drawn of what has faults: the one that is shown is of before.
  document.querySelector("#picture")?.classList.toggle("stale", wrong.size > 0);
}

function here() {
  const line = box.value.slice(0, box.selectionStart).split("\n").length;
  gutter.querySelector(".here")?.classList.remove("here");
  gutter.children[line - 1]?.classList.add("here");
  const steps = [...document.querySelectorAll(".graph [data-line]")];
  const step = steps.filter(one => Number(one.dataset.line) <= line).sort((a, b) => b.dataset.line - a.dataset.line)[0];
  for (const one of steps) one.classList.toggle("here", one === step);
}

function go(line, column = 1) {
  const before = box.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  const end = box.value.indexOf("\n", before);
  const at = Math.min(before + column - 1, end < 0 ? box.value.length : end);
  box.focus({preventScroll: true});
  box.setSelectionRange(at, at);
  box.scrollTop = Math.max(0, (line - 6) * LINE);
  box.closest(".paper").scrollIntoView({block: "nearest"});
  here();
}

function changed() {
  const is = box.value !== saved;
  if (dirty) dirty.hidden = !is;
  return is;
}

box.addEventListener("scroll", () => { gutter.scrollTop = box.scrollTop; });
box.addEventListener("input", () => { lines(); changed(); });
document.addEventListener("selectionchange", () => { if (document.activeElement === box) here(); });

document.addEventListener("click", event => {
  const link = event.target.closest("[data-line]");
  if (!link || link.closest(".gutter")) return;
  event.preventDefault();
  go(Number(link.dataset.line), Number(link.dataset.column) || 1);
});

box.addEventListener("keydown", event => {
  if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!box.readOnly) form.requestSubmit();
  } else if (event.key === "Enter" && !event.isComposing && !event.shiftKey && !event.ctrlKey) {
    // A new line begins where the one before it does; execCommand keeps the browser's own undo.
    const start = box.value.lastIndexOf("\n", box.selectionStart - 1) + 1;
    const indent = box.value.slice(start, box.selectionStart).match(/^ */)[0];
    if (indent) {
      event.preventDefault();
      document.execCommand("insertText", false, "\n" + indent);
    }
  }
});

// The picture: as wide as its place as long as it stays readable, and its first step in sight.
let zoom = 0;
function fit() {
  const place = document.querySelector("[data-picture]");
  const svg = place?.querySelector("svg");
  if (!svg) return;
  const natural = svg.viewBox.baseVal;
  const keep = {left: place.scrollLeft, top: place.scrollTop};
  const first = !zoom;
  zoom ||= Math.max(0.75, Math.min(1, (place.clientWidth - 4) / natural.width));
  svg.setAttribute("width", natural.width * zoom);
  svg.setAttribute("height", natural.height * zoom);
  const step = svg.querySelector(".step rect");
  if (first && step) place.scrollLeft = (step.x.baseVal.value + 98) * zoom - place.clientWidth / 2;
  else place.scrollTo(keep);
}
document.addEventListener("click", event => {
  const factor = Number(event.target.closest("[data-zoom]")?.dataset.zoom);
  if (!factor) return;
  zoom = Math.max(0.3, Math.min(2, zoom * factor));
  fit();
});

let leaving = false;
form.addEventListener("submit", () => { leaving = true; });
addEventListener("beforeunload", event => { if (!leaving && changed()) event.preventDefault(); });
document.addEventListener("htmx:after:swap", () => { fit(); marks(); here(); });

lines();
fit();
marks();
const wanted = location.hash.match(/^#L(\d+)$/);
if (wanted) go(Number(wanted[1]));
else here();
