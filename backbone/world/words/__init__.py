"""What can be said, asked and changed about a scene."""
