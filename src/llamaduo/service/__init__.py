"""The service LLM: client, ledger of paid calls, retries, prices, strict reply parsing."""
