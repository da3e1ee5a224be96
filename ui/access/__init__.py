"""Who may reach the page and see what: serving, guards, visitors."""
