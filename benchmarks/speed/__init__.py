"""`edge-potion benchmark`: how fast is it here, and what does it cost?"""
