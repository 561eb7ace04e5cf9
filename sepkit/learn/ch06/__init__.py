"""What only chapter 06 has."""
