"""How a program runs: processes and threads, memory, and signals that end it."""
