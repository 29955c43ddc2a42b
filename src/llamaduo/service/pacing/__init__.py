"""Calls at the pace that the provider allows: nothing refused, nothing of the limit left over."""
