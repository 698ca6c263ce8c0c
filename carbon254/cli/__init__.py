"""The command line: `c254`, and its `feeds` verbs as a command of their own."""
