#!/bin/sh
# On a GPU: images/s of training and features of the paper's networks against plain PyTorch in the same run, the time that
# the whole paper would take, and conf/antiquities.yaml at native sizes as far as it comes. Eight minutes at most.
# Use: sh benchmarks/gpu.sh [OUT]     in a clone of its own, with the antiquities and the weights under ../shared
set -eu
out=$(realpath "${1:-gpu}")
device=${DEVICE:-cuda}
networks=${NETWORKS:-resnet50:224 xception:299 vgg19:224 inception_v3:299 mobilenetv2_100:224}
mkdir -p "$out"
started=$(date +%s)
left() { echo $((${LIMIT_S:-480} - $(date +%s) + started)); }

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | tee "$out/card.txt" || true
rm -f "$out/speed.csv"
for network in $networks; do
  timeout "$(left)" python benchmarks/training.py "$network" --device "$device" --csv "$out/speed.csv"
done | tee "$out/speed.txt"
python benchmarks/projection.py "$out/speed.csv" | tee "$out/projection.txt"

sed 's/^input_size: .*/input_size: native/; s/  device: auto/  device: '"$device"'/' conf/antiquities.yaml > params.yaml
for stage in off_the_shelf fine_tuning; do
  if [ "$(left)" -lt 30 ]; then break; fi
  timeout "$(left)" dvc repro $stage || break # what is complete stays; the same command goes on
done
rijksnet plan --each | tee "$out/plan.txt"
rijksnet tables | tee "$out/tables.md"
