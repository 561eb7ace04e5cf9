"""What only chapter 08 has."""
