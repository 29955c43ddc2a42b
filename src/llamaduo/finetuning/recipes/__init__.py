"""What is trained how: the recipe of one training, from a few dials. Pure, no torch."""
