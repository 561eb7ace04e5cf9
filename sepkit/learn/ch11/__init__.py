"""What only chapter 11 has."""
