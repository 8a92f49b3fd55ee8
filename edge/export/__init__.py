"""Captures for other programs: Camtrap DP, CSV and COCO, from the sidecars of a folder."""
