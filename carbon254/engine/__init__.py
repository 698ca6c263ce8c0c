"""The engine: consumers that carry records from topic to topic and into the stores.

Each consumer has its own offset in the log and does each of its steps again harmlessly, so that stopping anywhere and
starting are the same path.
"""
