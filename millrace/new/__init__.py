"""Write the skeletons of `millrace new`."""
