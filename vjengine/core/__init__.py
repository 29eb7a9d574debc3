"""The core: numpy and the standard library only. No threads are started here, no device is opened."""
