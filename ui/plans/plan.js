/* The plan card: where a value comes from lights up; the editor's controls get their names, notes and the focus. */
const card = element.closest("#plan-card") || element.parentElement;

const light = (target) => {
  const name = target?.closest?.("[data-value]")?.dataset.value;
  for (const each of card.querySelectorAll("[data-value]")) each.classList.toggle("sl-lit", !!name && each.dataset.value === name);
};
for (const kind of ["mouseover", "focusin"]) element.addEventListener(kind, (event) => light(event.target));
for (const kind of ["mouseleave", "focusout"]) element.addEventListener(kind, () => light(null));

/* The card's HTML is replaced as a whole; the status is announced from an element that stays. */
const said = document.createElement("div");
said.className = "sl-announce";
said.setAttribute("role", "status");
card.append(said);

const set = (each, name, value) => { if (each.getAttribute(name) !== value) each.setAttribute(name, value); };
let focused = "";
const tidy = () => {
  const status = card.querySelector(".sl-status")?.textContent || "";
  if (said.textContent !== status) said.textContent = status;
  for (const field of card.querySelectorAll(".sl-field")) {
    const note = field.querySelector(".sl-note");
    if (!note) continue;
    for (const control of field.querySelectorAll("input, textarea")) {
      set(control, "aria-describedby", note.id);
      set(control, "aria-invalid", note.querySelector(".sl-fault") ? "true" : "false");
    }
  }
  for (const step of card.querySelectorAll(".sl-step")) {
    const title = step.querySelector(".sl-title")?.textContent;
    const heading = step.querySelector(".label-wrap > span"), wanted = step.querySelector(".sl-title")?.dataset.heading;
    if (heading && wanted && heading.textContent !== wanted) heading.textContent = wanted;
    if (title) for (const button of step.querySelectorAll(".sl-buttons button")) set(button, "aria-label", `${button.textContent.trim()} ${title}`);
  }
  const wish = card.querySelector(".sl-focus");
  if (wish && wish.dataset.serial !== focused) {
    const place = document.getElementById(wish.dataset.target);
    const control = place?.matches("button") ? place : place?.querySelector("input, textarea, button");
    if (control) {
      focused = wish.dataset.serial;
      setTimeout(() => { control.focus(); control.scrollIntoView({ block: "nearest" }); }, 50);
    }
  }
};
let pending = false;
new MutationObserver(() => {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; tidy(); });
}).observe(card, { childList: true, subtree: true, characterData: true });
tidy();
