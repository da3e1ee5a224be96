"""Theme and CSS of the page, with system fonts, so that nothing is downloaded."""

from gradio.themes import Base

THEME = Base(
    primary_hue="teal",
    neutral_hue="slate",
    radius_size="md",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "DejaVu Sans Mono", "monospace"],
)

CSS = """
.gradio-container main { width: 100%; max-width: 1240px !important; margin: 0 auto !important; }
footer { display: none !important; }
.sl-title h1 { font-size: 1.35rem; font-weight: 650; margin: .2rem 0 0; }
.sl-title p { color: var(--body-text-color-subdued); margin: .1rem 0 0; }
.sl-limits, .sl-limits * { color: var(--body-text-color-subdued) !important; }
.sl-limits { font-size: .84rem; line-height: 1.5; }
.sl-limits summary { cursor: pointer; }
.sl-limits ul { margin: .3rem 0 0 1.1rem; list-style: disc; }
.sl-card { border: 1px solid var(--border-color-primary); border-radius: 10px; padding: 14px 16px;
  background: var(--background-fill-primary); }
.sl-empty { color: var(--body-text-color-subdued); margin: 0; line-height: 1.5; }
.sl-status { font-weight: 600; margin-bottom: .5rem; }
.sl-status.good { color: #0f766e; } .sl-status.bad { color: #b91c1c; } .sl-status.wait { color: #b45309; }
.dark .sl-status.good { color: #2dd4bf; } .dark .sl-status.bad { color: #f87171; }
.dark .sl-status.wait { color: #fbbf24; }
.sl-busy { animation: sl-pulse 1.4s ease-in-out infinite; }
@keyframes sl-pulse { 50% { opacity: .45; } }
.sl-steps { list-style: none; margin: 0; padding: 0; }
.sl-steps li { position: relative; padding: 0 0 .7rem 1.5rem; margin: 0; }
.sl-steps li::before { content: ""; position: absolute; left: 2px; top: .42em; width: 9px; height: 9px;
  border-radius: 50%; border: 2px solid var(--neutral-400); background: var(--background-fill-primary); z-index: 1; }
.sl-steps li::after { content: ""; position: absolute; left: 8px; top: 1em; bottom: -.42em; width: 1px;
  background: var(--border-color-primary); }
.sl-steps li.started::before { border-color: #d97706; animation: sl-pulse 1s ease-in-out infinite; }
.sl-steps li.finished::before { border-color: #0d9488; background: #0d9488; }
.sl-steps li.failed::before { border-color: #dc2626; background: #dc2626; }
.sl-steps li.skipped { opacity: .6; }
.sl-steps code, .sl-gives code { font-size: .8em; padding: 0 .35em; margin: 0; border-radius: 4px; border: none;
  color: var(--body-text-color-subdued); background: var(--background-fill-secondary); }
.sl-steps b + code { margin-left: .5em; }
.sl-took { float: right; color: var(--body-text-color-subdued); font-size: .84em; font-variant-numeric: tabular-nums; }
.sl-args { font-size: .88em; }
.sl-args span { margin-right: 1em; } .sl-args i { color: var(--body-text-color-subdued); font-style: normal; }
.sl-fault, .sl-problems, .sl-problems li { color: #b91c1c !important; font-size: .94em; overflow-wrap: anywhere; }
.dark .sl-fault, .dark .sl-problems, .dark .sl-problems li { color: #f87171 !important; }
.sl-warning { color: #92400e !important; font-size: .94em; overflow-wrap: anywhere; }
.dark .sl-warning { color: #fbbf24 !important; }
.sl-problems li { font-size: 1em; }
.sl-problems { margin: .5rem 0 0 1.1rem; list-style: disc; }
.sl-gives { padding-left: 1.5rem; color: var(--body-text-color-subdued); font-size: .88em; }
.sl-note { color: var(--body-text-color-subdued); font-size: .84rem; }
#samples .caption-label { max-width: none; inset: auto 0 0 0; padding: .15rem .4rem; font-size: .68rem; }
.sl-card .html-container, .sl-title .html-container, .html-container:has(.sl-limits) { padding: 0 !important; }
#pictures .thumbnails:has(> button:only-child) { display: none; }
/* Gradio offers to delete messages and files from view, and to share a picture on a public site. */
.sl-chat .message-buttons, .sl-chat .top-panel:has(> [aria-label="Clear"]), #files .label-clear-button {
  display: none !important; }
.sl-chat img { max-height: 150px; width: auto; border-radius: 8px; }
"""
