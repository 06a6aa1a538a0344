"""The gateway's figures: counted in each worker, added up by the supervisor, written for whoever asks."""
