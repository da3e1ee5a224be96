"""How things of the world are drawn."""
