"""Metadata of stills and clips: EXIF, XMP and tags of MP4."""
