"""Tools for people at a terminal: doctor, replay, watch and the output of `edge run`."""
