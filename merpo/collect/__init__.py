"""Collection of datasets: training of behaviour policies, and rollouts of them."""
