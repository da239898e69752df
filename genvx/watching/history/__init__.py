"""What a monitor remembers: one SQLite file that one monitor writes and its owner reads."""
