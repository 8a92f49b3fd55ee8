"""Where frames come from: cameras, files, streams and synthetic scenes."""
