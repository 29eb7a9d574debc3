"""What makes a film of pictures: more of them a second, larger, graded, with their sound, in every form asked for."""
