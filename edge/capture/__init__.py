"""Stills and clips: pre-roll, encoder, writers and storage limits."""
