"""Film instead of stage: continuations of any length, albums, projects, and what makes a film of pictures."""
