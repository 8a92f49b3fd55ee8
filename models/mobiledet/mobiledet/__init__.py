"""Mobile-Det: small SSD detectors on the MobileNet v1 family, from footage to an int8 file.

Everything that trains needs the extra `train` (TensorFlow); what reads datasets, makes anchors or
harvests footage does not.
"""
