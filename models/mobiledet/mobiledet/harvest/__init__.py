"""Makes a labelled dataset of a fixed camera's footage: motion proposes, a model and a person name.

    footage ─► candidates ─► ghosts ──┐
          └──► teacher_tracks ────────┴► sampling ─► splits ─► document ─► sheet, labels

Each step takes plain data and returns plain data; `make` alone knows the order.
"""
