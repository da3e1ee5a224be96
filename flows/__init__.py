"""The door for many items: one approved plan over a folder, a list or a bucket."""
