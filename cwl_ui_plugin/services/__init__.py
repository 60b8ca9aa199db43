"""The service layer: upload, trigger, inspect, stop, outputs. Interfaces call it and nothing below."""
