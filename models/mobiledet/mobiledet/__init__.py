"""Mobile-Det: small SSD detectors on the MobileNet v1 family, from footage to an int8 file.

Building and training networks needs TensorFlow; reading datasets, making anchors and harvesting
footage do not.
"""
