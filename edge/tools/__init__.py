"""Programs for people at a terminal: doctor, replay, watch and the console of `edge run`."""
