"""Boxes, outlines and joints over a picture: the component that shows and edits them."""
