"""Commands: parse, build a session, show progress. No engine logic lives here."""
