"""Settings: their definition, and how a file of them is created, read, explained and edited."""
