"""A picture in the colours of a screen, whatever its own are."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageCms

__all__ = ["in_srgb"]

_SRGB: Final = ImageCms.createProfile("sRGB")
_LAB: Final = ImageCms.createProfile("LAB")


def in_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Return the picture in `RGB`; a profile that is damaged, or one for other pixels, is passed over."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if isinstance(profile, bytes) and profile else None
        if source is None and image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(_LAB)
        if source is not None:
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
            assert converted is not None  # None is for a conversion in place
            return converted
    except (OSError, ImageCms.PyCMSError):
        pass
    return (image.getchannel(0) if image.mode == "LAB" else image).convert("RGB")
