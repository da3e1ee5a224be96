"""Drawing things, people and backgrounds with skia."""
