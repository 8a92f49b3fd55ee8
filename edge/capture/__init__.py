"""Stills and clips: pre-roll, encoder, writers and the limits of the storage."""
