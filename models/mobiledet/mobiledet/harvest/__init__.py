"""Makes a labelled dataset of footage of a fixed camera: motion finds objects that a person names.

    footage ─► candidates ─► ghosts ──┐
          └──► teacher_tracks ────────┴► sampling ─► splits ─► document ─► sheet, labels

Each step takes plain data and returns plain data; `make` alone knows the order.
"""
