"""What goes wrong, played through the whole hub, in the words an admin reads."""
