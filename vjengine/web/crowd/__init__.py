"""The audience's page: prompts, votes and the queue they wait in."""
