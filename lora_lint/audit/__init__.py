"""Many adapters at once: rows out of folders, a store that remembers them, and what they come to."""
