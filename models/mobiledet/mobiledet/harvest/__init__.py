"""Footage of a fixed camera to a labelled dataset: motion proposes, a model and a person name.

    footage ─► candidates ─► ghosts ─┐
          └──► teacher ──────────────┴► sampling ─► splits ─► document ─► sheet, labels

Each step takes plain data and returns plain data; `make` alone knows the order.
"""
