"""Ears: capture, decoding, and the one pure analyser that live and offline share."""
