"""The Review tab: its logic, and the tab in a browser."""
