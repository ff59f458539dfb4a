"""What OpenAPI cannot say of the service: that bytes are a picture. For schemathesis, which is installed beside:

SCHEMATHESIS_HOOKS=schema_hooks PYTHONPATH=tests schemathesis run http://127.0.0.1:8080/openapi.json
"""

from __future__ import annotations

import io

from hypothesis import strategies as st
from PIL import Image
from schemathesis import openapi
from schemathesis.transport.serialization import Binary


def picture(form: str, seed: int) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((40 + seed, 50), 60 + seed).convert("RGB").save(stream, form)
    return stream.getvalue()


PICTURES = [picture(form, seed) for form in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP") for seed in range(4)]

for media_type in ("application/octet-stream", "image/*"):
    openapi.media_type(media_type, st.sampled_from(PICTURES))
openapi.format("binary", st.sampled_from(PICTURES).map(Binary))
