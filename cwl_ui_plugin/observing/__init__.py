"""What others are told of runs and of the plugin itself: metrics, spans, lineage. Nothing of it loads what is off."""
