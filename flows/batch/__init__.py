"""The batch engine: one approved plan over many items."""
