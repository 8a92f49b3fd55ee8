"""The folder of captures: what it holds, retention, marks and deletion."""
