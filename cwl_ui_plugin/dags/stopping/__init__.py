"""What a stop leaves for tasks and machines, and what ends processes there."""
