"""From frames and packets to clips: pre-roll, encoder, cutter and MP4."""
