// Texts, articles and the simulator: unsaved work is noticed, the conversation stays at its end, the keyboard where it was.
// Without this file every form still works.

const waiting = new Set();

function mark(form) {
  const is = [...form.querySelectorAll("textarea, input:not([type=hidden])")].some(one => one.value !== one.defaultValue);
  form.classList.toggle("dirty", is);
  if (is) waiting.add(form); else waiting.delete(form);
}

document.addEventListener("input", event => {
  const form = event.target.closest("[data-row], [data-guard]");
  if (form) mark(form);
});

// Ctrl or Cmd with Enter saves what the field belongs to.
document.addEventListener("keydown", event => {
  const form = event.target.closest("[data-row], [data-guard]");
  if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

document.addEventListener("submit", event => { if (event.target.matches("[data-guard]")) waiting.clear(); });

addEventListener("beforeunload", event => {
  if ([...waiting].some(form => form.isConnected)) event.preventDefault();
});

function settle() {
  const log = document.querySelector("[data-log]");
  if (log) log.scrollTop = log.scrollHeight;
}

let open = new Set();
document.addEventListener("htmx:before:swap", () => {
  open = new Set([...document.querySelectorAll("#sim details.more[open]")].map((one, at) => at));
});
document.addEventListener("htmx:after:swap", event => {
  if (!document.querySelector("#sim")) return;
  document.querySelectorAll("#sim details.more").forEach((one, at) => { one.open = open.has(at); });
  settle();
  if (!matchMedia("(pointer: coarse)").matches) document.querySelector("[data-say]")?.focus({preventScroll: true});
});
settle();
