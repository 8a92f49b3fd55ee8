"""What captures are to other programs: Camtrap DP for research, a table, COCO annotations."""
