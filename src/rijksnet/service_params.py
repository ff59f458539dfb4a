"""What params.yaml says of `rijksnet serve`: whose pictures it may fetch, and how much it takes on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rijksnet.collection_params import Frozen


class Service(Frozen):
    """Limits of the service; what is beyond them is refused with a reason."""

    hosts: list[str] = Field(description="servers whose pictures may be asked about by their address; empty: none")
    megabytes: Annotated[float, Field(gt=0)] = Field(description="the largest picture")
    seconds: Annotated[float, Field(gt=0)] = Field(description="longest time for one request")
    requests: Annotated[int, Field(ge=1)] = Field(description="pictures at a time; further ones are told to come again")
