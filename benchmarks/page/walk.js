/* What a walk counts and sees in the page; runs before the page's own scripts. */
(() => {
  const shown = (each) => each.getClientRects().length > 0;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const text = (selector) => all(selector).map((each) => each.textContent.trim());
  const walk = (window.walk = { clicks: 0, keys: 0, enter: 0, reaction: 0, turns: 0 });

  addEventListener("click", (event) => { if (event.isTrusted && event.detail > 0) walk.clicks += 1; }, true);
  addEventListener("keydown", (event) => {
    if (!event.isTrusted || ["Shift", "Control", "Alt"].includes(event.key)) return;
    if (event.key.length > 1 || event.ctrlKey || event.altKey) walk.keys += 1;
    if (event.key === "Enter") Object.assign(walk, { enter: performance.now(), reaction: 0, turns: all(".sl-turn").length });
  }, true);
  /* Reactions are timed here: from the key to the first frame that shows a new turn. */
  addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
    if (!walk.enter || walk.reaction || all(".sl-turn").length <= walk.turns) return;
    requestAnimationFrame(() => { walk.reaction ||= performance.now() - walk.enter; });
  }).observe(document.body, { childList: true, subtree: true }));

  /* What tells one state of a session from another. */
  walk.state = () => ({
    stage: document.querySelector("#conversation section")?.dataset.stage,
    said: text("#conversation .sl-said"),
    statuses: text("#conversation .sl-turn:not([data-echo]) > .sl-status"),
    answers: text("#conversation .sl-answer"),
    plan: text("#plan .sl-words"),
    forms: all("#plan-editor .sl-step").filter(shown).map((each) => each.querySelector(":scope > button > span")?.textContent.trim()),
    run: all("#run").some(shown),
  });

  /* Whether an element is within the window, and nothing lies over it. */
  walk.visible = (selector) => {
    const each = all(selector).find(shown);
    if (!each) return false;
    const at = each.getBoundingClientRect();
    const top = document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2);
    const within = at.top >= 0 && at.bottom <= innerHeight + 1 && at.left >= 0 && at.right <= innerWidth + 1;
    return within && !!top && (each.contains(top) || top.contains(each));
  };

  /* Controls and words that are cut off, or stick out of the window. */
  const scrolled = (each) => {
    for (let around = each.parentElement; around; around = around.parentElement) {
      const style = getComputedStyle(around);
      if (/auto|scroll/.test(style.overflowX) && around.scrollWidth > around.clientWidth) return true;
      if (/absolute|fixed/.test(style.position) && around.getBoundingClientRect().right <= 1) return true;  // drawn in
    }
    return false;
  };
  walk.clipped = () => all("button, label > span, [role=tab], h1, h2, p, .sl-status, .sl-chip, td, th").filter((each) => {
    const at = each.getBoundingClientRect(), style = getComputedStyle(each);
    if (at.width < 2 || at.height < 2 || !each.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
    if (each.closest(".sl-hidden, [hidden], [aria-hidden=true]") || style.textOverflow === "ellipsis" || scrolled(each)) return false;
    // The words of a switch may stick out of the box around it.
    const box = each.closest(".block")?.getBoundingClientRect();
    if (box && each.matches("label > span") && at.right > box.right + 1) return true;
    const hides = /hidden|clip/.test(style.overflowX) && each.scrollWidth > each.clientWidth + 1;
    return hides || at.right > innerWidth + 1 || at.left < -1;
  }).map((each) => `${each.tagName.toLowerCase()}${each.id ? "#" + each.id : ""} “${each.textContent.trim().slice(0, 40)}”`);
})();
