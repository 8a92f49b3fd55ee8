"""Live view for aiming and tuning: a program beside the daemon, and a page in the browser."""
