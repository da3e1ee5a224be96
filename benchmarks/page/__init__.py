"""Walks through the page in a real browser, against a real `superlink ui` process: figures beside bars, and screens."""
