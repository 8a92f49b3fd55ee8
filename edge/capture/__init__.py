"""Stills and clips: the pre-roll ring, the writers and the storage guard."""
