"""Components: base class, interfaces, plugin discovery and registry."""
