"""What the maintainers measure, and how the model that ships is made. In a checkout alone: no wheel holds it."""
