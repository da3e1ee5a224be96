"""Reading and writing rendered scenes as data sets."""
