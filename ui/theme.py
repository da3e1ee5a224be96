"""Theme, CSS and script of the page, with system fonts, so that nothing is downloaded."""

from importlib.resources import files

from gradio.themes import Base

_SUBDUED = {"light": "*neutral_600", "dark": "*neutral_300"}

THEME = Base(
    primary_hue="teal",
    neutral_hue="slate",
    radius_size="md",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "DejaVu Sans Mono", "monospace"],
).set(
    # Gradio's own colours have less contrast than 4.5:1.
    body_text_color_subdued=_SUBDUED["light"],
    body_text_color_subdued_dark=_SUBDUED["dark"],
    block_info_text_color=_SUBDUED["light"],
    block_info_text_color_dark=_SUBDUED["dark"],
    block_label_text_color=_SUBDUED["light"],
    block_label_text_color_dark=_SUBDUED["dark"],
    input_placeholder_color=_SUBDUED["light"],
    input_placeholder_color_dark=_SUBDUED["dark"],
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_800",
    button_primary_text_color="white",
    button_primary_text_color_dark="white",
    # Gradio's border has 1.5:1, and in the dark none that can be seen; 3:1 is what a control needs (WCAG 1.4.11).
    checkbox_border_width="1px",
    checkbox_border_width_dark="1px",
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_400",
    checkbox_border_color_hover="*neutral_700",
    checkbox_border_color_hover_dark="*neutral_200",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
)

_ASSETS = files("ui") / "assets"

CSS = (_ASSETS / "page.css").read_text(encoding="utf-8")

HEAD = (
    f"<style>{(_ASSETS / 'outside.css').read_text(encoding='utf-8')}</style>"
    f"<script>{(_ASSETS / 'page.js').read_text(encoding='utf-8')}</script>"
)
"""Theme switch, keys, focus, the tab's title, lost connections; defines `window.superlink`."""
