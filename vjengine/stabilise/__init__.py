"""Keeps pictures that feed on themselves from collapsing: statistics, the anchor they are held to, the correction."""
