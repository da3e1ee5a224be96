// Sentences of a recording: a click plays from there. Texts are set by textContent only.
const list = element.querySelector(".sl-sentences");
const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const player = () => document.querySelector("#result-sound audio, #result-film video");

function draw() {
  const lines = Array.isArray(props.value) ? props.value : [];
  list.hidden = !lines.length;
  list.replaceChildren(...lines.map(({start, text}) => {
    const time = document.createElement("span"), words = document.createElement("span");
    const button = document.createElement("button"), entry = document.createElement("li");
    time.textContent = clock(start);
    time.className = "time";
    words.textContent = text;
    button.type = "button";
    button.append(time, " ", words);
    button.addEventListener("click", () => {
      const found = player();
      if (!found) return;
      found.currentTime = start;
      found.play().catch(() => {});
      mark(start);
    });
    entry.append(button);
    return entry;
  }));
}

function mark(now) {
  const lines = Array.isArray(props.value) ? props.value : [];
  [...list.children].forEach((entry, i) => {
    const here = lines[i] && now >= lines[i].start && now < lines[i].end;
    if (here) entry.firstChild.setAttribute("aria-current", "true"); else entry.firstChild.removeAttribute("aria-current");
  });
}

// The player is made anew for each recording; events of media do not bubble, but can be captured.
const told = (event) => { if (event.target === player() && list.isConnected) mark(event.target.currentTime); };
document.addEventListener("timeupdate", told, true);
watch("value", draw);
draw();
