"""One run's results: model, statistics, terminal and page."""
