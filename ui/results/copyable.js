// A text with a button that copies it. The text is set by textContent only.
const box = element.querySelector(".sl-copy"), text = box.querySelector("pre"), button = box.querySelector("button");
const said = box.querySelector("[role=status]");
function draw() { text.textContent = props.value || ""; said.textContent = ""; }
button.addEventListener("click", async () => {
  try { await navigator.clipboard.writeText(text.textContent); } catch {
    // Browsers offer the clipboard only to pages by https and of this computer.
    getSelection().selectAllChildren(text);
    document.execCommand("copy");
  }
  said.textContent = "Copied";
});
watch("value", draw);
draw();
