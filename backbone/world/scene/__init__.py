"""Scenes: pictures as symbols, composed from seeds."""
