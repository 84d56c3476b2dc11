"""The paper's algorithms, in its order; independent of dataset files and recipes."""
