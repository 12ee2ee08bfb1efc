"""What k-means clusters: MFCC or a layer of a self-supervised speech model."""
