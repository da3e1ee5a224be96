/* What belongs to no single component: colours, keys, focus, the title of the browser's tab, lost connections. */
(() => {
  const page = (window.superlink = {});
  const find = (selector) => document.querySelector(selector);
  const shown = (element) => !!element && element.getClientRects().length > 0;
  const button = (id) => [...document.querySelectorAll(`#${id}`)].find((each) => shown(each) && !each.disabled);
  const narrow = matchMedia("(max-width: 900px)");
  const box = () => find("#request textarea");
  const speak = (text) => { const line = find("#spoken"); if (line) line.textContent = text; };

  /* Colours: "light", "dark" or "system". Gradio sets the class itself, from the system alone. */
  const modes = ["system", "light", "dark"];
  const system = matchMedia("(prefers-color-scheme: dark)");
  const mode = () => { const kept = localStorage.getItem("superlink-colours"); return modes.includes(kept) ? kept : "system"; };
  const paint = () => {
    const dark = mode() === "dark" || (mode() === "system" && system.matches);
    if (document.body && document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    const control = find("#colours");
    if (control) {
      control.dataset.mode = mode();
      control.setAttribute("aria-label", `Colours: ${mode()}`);
      control.title = `Colours: ${mode()}`;
    }
  };
  system.addEventListener("change", paint);
  const nextColours = () => {
    localStorage.setItem("superlink-colours", modes[(modes.indexOf(mode()) + 1) % modes.length]);
    paint();
  };

  /* The stage of the session that is shown. */
  let stage = "", thread = "";
  const title = (sign) => { document.title = sign ? `${sign} · superlink` : "superlink"; };
  page.stage = (now, of, status) => {
    const before = stage, same = of === thread || !thread;
    const changed = now !== before || of !== thread;
    stage = now;
    thread = of;
    const place = find("#session");
    if (place) place.dataset.stage = now;
    if (!changed) return;
    title(now === "approval" || now === "editing" ? "● waits for you" : ["queued", "planning", "running"].includes(now) ? "… at work" : "");
    if (now === "approval") {
      // Run appears a moment after the conversation; words that are being typed keep the focus.
      later(() => {
        const typed = box() && document.activeElement === box() && box().value;
        if (narrow.matches) find("#plan-pane")?.scrollIntoView({ block: "start", behavior: calm() });
        if (!typed) button("run")?.focus({ preventScroll: true });
      });
    } else if (now === "idle" && same && before && before !== "idle" && before !== "new") {
      title(status === "Done" ? "✓ Done" : status);
      later(() => {
        const active = document.activeElement;
        if (!active || active === document.body || !shown(active) || active.closest("#decision, #plan-pane")) box()?.focus({ preventScroll: true });
        if (narrow.matches) [...document.querySelectorAll("#conversation .sl-status")].pop()?.scrollIntoView({ block: "start", behavior: calm() });
      });
    }
  };
  const later = (act) => setTimeout(act, 120);
  const calm = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");
  document.addEventListener("visibilitychange", () => { if (!document.hidden && stage === "idle") title(""); });
  /* What is shown can be older than the session: another page has changed it, or answers of the server came in another
     order than they were sent. An answer that is on its way is no reason to ask: two looks in a row have to find this. */
  let late = "", gone = "";
  const changed = async () => {
    if (document.hidden || !thread || gone === thread) return;
    const answer = await fetch(`sessions/${thread}/version`, { cache: "no-store" });
    if (!answer.ok && answer.status !== 404) return;
    const before = late, of = find("#shown textarea")?.value || "";
    if (!answer.ok) gone = thread;
    else late = of === `${thread} ${(await answer.json()).version}` ? "" : of;
    // A form is not drawn anew under the hands of the person who fills it in.
    if (!answer.ok || (late && late === before && (stage !== "editing" || !document.hasFocus()))) find("#refresh")?.click();
  };
  page.checkAgain = () => { if (stage === "editing") find("#check-again")?.click(); };
  addEventListener("focus", () => { if (next) look(); });
  addEventListener("focus", () => { if (stage === "idle") setTimeout(() => title(""), 4000); });

  /* The request stands in the conversation before the server has answered. */
  page.echo = (said) => {
    const words = (said?.text || "").trim(), turns = find("#conversation .sl-turns");
    if (!words || !turns || !["new", "idle"].includes(stage)) return;
    const turn = document.createElement("li");
    turn.className = "sl-turn";
    turn.dataset.echo = "";
    const mine = turn.appendChild(document.createElement("div"));
    mine.className = "sl-said";
    mine.textContent = words;
    const status = turn.appendChild(document.createElement("p"));
    status.className = "sl-status sl-busy";
    status.textContent = "Planning …";
    find("#conversation .sl-conversation")?.classList.add("sl-begun");
    turns.appendChild(turn);
    page.down();
  };
  /* After the answer: what it refused does not stay in the conversation. */
  page.settle = (of) => {
    document.querySelectorAll("[data-echo]").forEach((each) => each.remove());
    page.address(of);
  };
  page.down = () => { const talk = find("#talk"); if (talk) talk.scrollTop = talk.scrollHeight; };
  page.address = (of) => {
    const url = new URL(location.href);
    if (of) url.searchParams.set("s", of); else url.searchParams.delete("s");
    if (url.href !== location.href) history.replaceState(history.state, "", url);
  };

  /* Keys. None of them is the browser's own. */
  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable=true], .cm-editor");
  const press = (id) => { const found = button(id); if (found) found.click(); return !!found; };
  const tab = page.tab = (number) => {
    const all = [...document.querySelectorAll("#tabs > .tab-wrapper [role=tab], #tabs > .tab-container [role=tab]")].filter(shown);
    all[number - 1]?.click();
    return !!all[number - 1];
  };
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    const open = find("dialog[open]");
    let done = false;
    if (event.altKey && !event.ctrlKey && !event.metaKey && /^Digit[1-5]$/.test(event.code)) done = tab(+event.code.slice(5));
    else if (open) return;
    else if (event.ctrlKey && event.key === "Enter" && !event.altKey) {
      if (typing(event.target) && event.target.closest("#request")) done = !!find("#request .submit-button") && (find("#request .submit-button").click(), true);
      else if (!typing(event.target)) done = press("run");
    } else if (event.key === "Escape" && !typing(event.target)?.value) done = press("stop");
    else if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
    else if (event.key === "/") done = shown(box()) && (box().focus(), true);
    else if (event.key === "?") done = page.keys();
    if (done) event.preventDefault();
  });
  const list = (other) => {
    find("#session")?.toggleAttribute("data-listed", other);
    find("#sessions .toggle-button")?.setAttribute("aria-expanded", String(other === narrow.matches));
  };
  narrow.addEventListener("change", () => list(false));
  page.keys = () => { const list = find("#keys"); if (list?.showModal && !list.open) list.showModal(); return !!list; };
  document.addEventListener("click", (event) => {
    const act = event.target.closest?.("[data-act]")?.dataset.act;
    if (act === "colours") nextColours();
    else if (act === "keys") page.keys();
    else if (event.target.closest?.("#sessions .toggle-button")) list(!find("#session").hasAttribute("data-listed"));
    else if (event.target.closest?.("#new, [data-open]") && narrow.matches) list(false);
    else if (act === "close") event.target.closest("dialog")?.close();
  });

  /* A lost connection: buttons are off until the server answers; then the page is loaded again, with the words kept.
     So it is where another server answers: it knows nothing of this page, even if its coming was not noticed. */
  let away = false, misses = 0, next = 0, known = window.gradio_config?.app_id;
  const again = () => {
    const words = box()?.value;
    if (words) sessionStorage.setItem("superlink-words", words);
    location.reload();
  };
  const look = async () => {
    clearTimeout(next);
    next = 0;
    let wait = 2000;
    try {
      const answer = await fetch("gradio_api/app_id", { cache: "no-store" });
      if (!answer.ok && answer.status >= 500) throw new Error("not yet");
      const server = answer.ok ? (await answer.json()).app_id : known;
      known ??= server;
      if (away || server !== known) { again(); return; }
      misses = 0;
      await changed();
    } catch {
      wait = 250;
      if (++misses === 2) {
        away = true;
        document.body.classList.add("sl-away");
        find(".gradio-container main")?.setAttribute("inert", "");
        speak("The connection to superlink is lost. The page comes back by itself.");
      }
    }
    next = setTimeout(look, wait);
  };
  /* Timers are slow in a tab that nobody sees. */
  document.addEventListener("visibilitychange", () => { if (!document.hidden && next) look(); });
  page.words = () => {
    const words = sessionStorage.getItem("superlink-words") || "";
    sessionStorage.removeItem("superlink-words");
    return words;
  };

  /* Names for controls of Gradio's that have none. */
  const name = (selector, words) => {
    for (const each of document.querySelectorAll(selector)) if (!each.getAttribute("aria-label")) each.setAttribute("aria-label", words);
  };
  const label = () => {
    name("#request textarea", "What should happen?");
    name("#request .submit-button", "Send");
    name("#request .upload-button, #request [data-testid=upload-button]", "Add files");
    name("#request .microphone-button", "Record");
    name("#request .delete-button", "Remove this file");
    const toggle = find("#sessions .toggle-button:not([aria-expanded])");
    if (toggle) { toggle.setAttribute("aria-label", "List of sessions"); list(false); }
  };
  /* A refused upload is said without the words of the protocol. */
  const plain = () => {
    for (const each of document.querySelectorAll("[data-testid=toast-text]")) {
      const words = each.textContent.replace(/^\s*HTTP \d+: /, "");
      if (words !== each.textContent) each.textContent = words;
    }
  };
  const live = () => {
    for (const each of document.querySelectorAll("#plan, #queue")) if (!each.hasAttribute("aria-live")) each.setAttribute("aria-live", "polite");
  };
  let pending = false;
  const tidy = () => {
    pending = false;
    paint();
    label();
    live();
    plain();
  };
  const started = () => {
    paint();
    new MutationObserver(() => { if (!pending) { pending = true; requestAnimationFrame(tidy); } })
      .observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
    const lost = document.createElement("div");
    lost.id = "lost";
    lost.textContent = "The connection to superlink is lost. What runs goes on; the page comes back by itself.";
    const line = document.createElement("div");
    line.id = "spoken";
    line.setAttribute("role", "status");
    document.body.append(lost, line);
    next = setTimeout(look, 500);
  };
  paint();
  if (document.body) started(); else addEventListener("DOMContentLoaded", started);
})();
