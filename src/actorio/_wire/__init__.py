"""What crosses between processes, as bytes: frames, messages, payloads. No file here does I/O."""
