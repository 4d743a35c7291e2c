"""What is copied onto the lab's hosts. Nothing here is imported by the lab itself."""
