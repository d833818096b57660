"""How the process serves: uvicorn with bounds, workers that end with their parent, and the way to stop."""
