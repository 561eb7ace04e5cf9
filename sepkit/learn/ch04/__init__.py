"""What only chapter 04 has."""
