"""Result backends that need nothing but this process."""
