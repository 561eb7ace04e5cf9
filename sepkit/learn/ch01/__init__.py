"""What only chapter 01 has."""
