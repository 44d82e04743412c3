"""The HTTP server: OpenAI's /v1/embeddings and more, by starlette on uvicorn. `edge-potion serve` starts it."""
