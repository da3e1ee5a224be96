"""Whether a picture follows a specification."""
