"""From what a step left to what a run delivers: targets, placing, links that lead elsewhere."""
