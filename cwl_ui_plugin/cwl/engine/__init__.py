"""Running steps with cwltool. Only this room and ``compiler`` may import it."""
