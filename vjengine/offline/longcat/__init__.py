"""Longcat: a film carried on from its own last pictures, chunk after chunk, for as long as it is asked to be."""
