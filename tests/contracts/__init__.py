"""What every connector of a kind must do, as test classes to inherit."""
