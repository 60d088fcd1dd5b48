"""Card fraud: where its training data come from, and how its model is trained."""
