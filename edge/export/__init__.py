"""Exports the captures of a folder to Camtrap DP, CSV and COCO, from their sidecars."""
