"""The reading side: HTTP over the stores. Pushed data enters by the inbox, which only archives and notes it."""
