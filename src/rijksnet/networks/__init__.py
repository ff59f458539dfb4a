"""Networks and their weights."""

#: From so many images at a time on, what a network says of one in float32 does not depend on how many there are, to the
#: last bit; in bf16 it never does (measured: docs/decisions.md).
SETTLED = 16
