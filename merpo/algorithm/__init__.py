"""The paper's algorithms, in its order; neither datasets nor recipes are known here."""
