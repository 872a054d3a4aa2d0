#!/usr/bin/env bash
# InternVL takes the rank alone: alpha is always twice the rank, in training and on loading.
torchrun --nproc_per_node 8 internvl/train/internvl_chat_finetune.py \
  --model_name_or_path ./pretrained/InternVL2-1B \
  --freeze_llm True \
  --use_llm_lora 16 \
  --learning_rate 4e-5 \
  --output_dir work_dirs/internvl2-1b-lora
