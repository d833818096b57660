"""The serving process: uvicorn with bounds, workers that end with their parent, and an orderly stop."""
