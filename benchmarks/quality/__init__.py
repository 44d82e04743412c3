"""`edge-potion evaluate`: how good is a model?"""
