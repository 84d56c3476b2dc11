"""What a component is, the kinds of component, and how plugins are found."""
