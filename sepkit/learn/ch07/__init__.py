"""What only chapter 07 has."""
