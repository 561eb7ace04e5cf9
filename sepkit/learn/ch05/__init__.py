"""What only chapter 05 has."""
