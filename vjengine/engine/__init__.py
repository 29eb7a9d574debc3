"""The three steps and the two drivers that call them: live, and offline."""
