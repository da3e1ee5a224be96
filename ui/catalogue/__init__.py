"""Tools and weights as the page shows them, without widgets."""
