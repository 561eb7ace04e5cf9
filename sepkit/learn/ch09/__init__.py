"""What only chapter 09 has."""
