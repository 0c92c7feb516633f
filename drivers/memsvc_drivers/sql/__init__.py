"""What the SQL drivers share."""
