"""The plan as a card and as forms, without widgets."""
