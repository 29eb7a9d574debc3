"""The speed ladder: the same three networks behind one contract, from plain PyTorch to TensorRT."""
