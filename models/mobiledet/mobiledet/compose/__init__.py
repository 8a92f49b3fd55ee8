"""Makes pictures of objects that never were there: cut out of photographs, pasted on empty scenes.

Classical operators only (Dwibedi et al., "Cut, Paste and Learn", 2017): the learnt part is the
detector that is trained on the result.
"""
