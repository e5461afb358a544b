"""Classifiers trained on real, synthetic and mixed images, their scores, and how alike the images are."""
