"""Ways out: windows, recordings, the OSC feed."""
