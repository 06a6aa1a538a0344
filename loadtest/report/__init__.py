"""Reports as one HTML file each, which opens offline and asks nobody for anything."""
