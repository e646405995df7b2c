"""The public export."""
from ._export import export, write

def to_onnx(model, path):
    write(export(model), path)
