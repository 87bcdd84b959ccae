"""The picture of a flow: places for boxes and arrows (layers.py, pure), and the SVG made of them (picture.py)."""
