"""What only chapter 02 has."""
