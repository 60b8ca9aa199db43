"""The service layer: upload, trigger, inspect, stop, outputs. Faces call it and nothing below."""
