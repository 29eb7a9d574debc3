"""Hands: MIDI, OSC, keys, macro files and recorded performances, each turned into core events."""
