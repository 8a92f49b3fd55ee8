"""How the daemon is: what it counts, what it notices, how it mends itself or says so."""
