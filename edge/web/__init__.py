"""The live view, to aim and tune a camera: a web server for a page in the browser."""
