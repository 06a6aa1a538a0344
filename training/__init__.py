"""Training: data sets, recipes, the trainer, and the run folder that it leaves behind."""
