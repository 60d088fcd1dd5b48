"""Learn detectors from windows of features and publish them as ONNX graphs."""
