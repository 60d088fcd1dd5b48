"""What is asked of card fraud's tables in the lake."""
