"""What tests ask about descriptors."""

import os


def is_open(descriptor):
    """Is this a descriptor of this process?"""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
