"""Real services, workers, agents and trainers; what befalls them; and what must hold afterwards."""
