// What every page needs: the menu stays open where there is room, and a question before what cannot be undone.

const wide = matchMedia("(min-width: 60rem)");
const menu = document.querySelector("[data-menu]");
const fit = () => { if (menu) menu.open = wide.matches; };
fit();
wide.addEventListener("change", fit);

document.addEventListener("submit", event => {
  const question = event.submitter?.dataset.ask ?? event.target.dataset.ask;
  if (question && !confirm(question)) event.preventDefault();
});

for (const field of document.querySelectorAll("[data-copy]")) {
  field.addEventListener("focus", () => field.select());
  field.focus();
}
