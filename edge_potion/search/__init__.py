"""An index of texts: what means what a query means, and what has its words."""
