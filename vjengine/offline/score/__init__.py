"""Scores: what happens in a film, and when, written down before it is rendered."""
