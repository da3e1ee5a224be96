/* Clicks on elements with data-… become events of the component, with the words of the attribute. */
const act = (event) => {
  const found = event.target.closest("button, a");
  if (!found || !element.contains(found) || found.disabled) return;
  const { show, open, rename, delete: gone, restore, words, remove, take, request } = found.dataset;
  if (show) trigger("show", { turn: Number(show) });
  else if (open) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    trigger("open", { thread: open });
  } else if (rename) edit(found, rename);
  else if (gone) trigger("delete", { thread: gone });
  else if (restore) trigger("restore", { thread: restore });
  else if (words) { found.disabled = true; trigger("words", { path: words }); }
  else if (remove) trigger("remove", { path: remove });
  else if (take) trigger("take", { name: take, request });
};
/* The field lies over the list, which may be drawn anew meanwhile. */
const edit = (button, thread) => {
  const line = button.closest("li"), name = line.querySelector(".sl-name").textContent, room = element.parentElement;
  const field = document.createElement("input");
  field.className = "sl-title-field";
  field.value = name;
  field.maxLength = 120;
  field.setAttribute("aria-label", "New title");
  field.style.top = `${line.getBoundingClientRect().top - room.getBoundingClientRect().top}px`;
  room.append(field);
  field.focus();
  field.select();
  let ended = false;
  const end = (keep) => {
    if (ended) return;
    ended = true;
    const title = field.value.trim();
    field.remove();
    if (keep && title && title !== name) trigger("rename", { thread, title });
    element.querySelector(`[data-rename="${thread}"]`)?.focus();
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    // The key would press the button that has the focus next.
    if (event.key === "Enter") { event.preventDefault(); end(true); }
    else if (event.key === "Escape") end(false);
  });
  field.addEventListener("blur", () => end(true));
};
element.addEventListener("click", act);
/* Details that a person opened or closed stay so while the turns change. */
const toggled = new Map();
element.addEventListener("click", (event) => {
  const opened = event.target.closest("summary")?.parentElement, turn = opened?.closest("[id]")?.id;
  if (turn) toggled.set(turn, !opened.open);
});
const shown = () => {
  const talk = element.querySelector(".sl-conversation");
  if (!talk) return;
  if (talk.dataset.thread !== shown.thread) toggled.clear();
  for (const [turn, open] of toggled) {
    const found = element.querySelector(`#${turn} details`);
    if (found) found.open = open;
  }
  const turns = talk.querySelectorAll(".sl-turn").length;
  window.superlink.stage(talk.dataset.stage, talk.dataset.thread, talk.dataset.status);
  const now = `${talk.dataset.thread} ${turns} ${talk.dataset.stage}`;
  if (turns && now !== shown.now) window.superlink.down();
  shown.thread = talk.dataset.thread;
  shown.now = now;
};
watch("value", () => setTimeout(shown));
shown();
