"""Mobile-Det: small SSD detectors on the MobileNet v1 family, from footage to an int8 file.

TensorFlow is needed to build and train networks, but not to read datasets, make anchors or harvest
footage.
"""
