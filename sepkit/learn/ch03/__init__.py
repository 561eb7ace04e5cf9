"""What only chapter 03 has."""
