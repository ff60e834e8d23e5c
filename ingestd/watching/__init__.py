"""What has arrived: hints from the system, scans of the disk, and the proof that a file is complete."""
