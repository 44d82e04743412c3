"""A teacher -> a static model folder (the extra `train`); rows with labels -> a classifier (`classify`)."""
