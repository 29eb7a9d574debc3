"""Pages for the performer and for the crowd, and OSCQuery: one process of its own, so that no visitor costs a frame."""
