"""Tools as objects: declaring, finding and running them."""
