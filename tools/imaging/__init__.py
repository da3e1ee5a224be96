"""Work on pixels that several tools share."""
