"""Steps that the builders of the shipped models share."""
