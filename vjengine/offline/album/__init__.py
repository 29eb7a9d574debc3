"""Albums: many tracks, one gapless film. Each track is a job of its own, made here or on a Ray cluster."""
