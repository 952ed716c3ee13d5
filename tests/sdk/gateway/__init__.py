"""The parts of `gateway_clients.py`."""
