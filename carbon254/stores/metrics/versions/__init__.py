"""One module a schema version. A published one never changes; the next change is a module of its own."""
