"""Where the models that people adapt keep their layers, by the `model_type` of their config."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

_BRACES = re.compile(r"[{}]")


class Architecture(NamedTuple):
    """The modules of one `model_type`, as paths below whatever wraps the model.

    `{a,b}` stands for either and `*` for a number. `layers` are linear layers (`nn.Linear`, or transformers' `Conv1D`
    where `conv1d`), `others` embeddings and convolutions, `experts` parameters that stack the weights of all experts,
    `routers` what chooses among these. `tower` are the linear layers of what sees or hears, with the way from there to
    the language model. `formerly` are names that transformers 4.57 had, or that a model's own code has, where
    transformers 5 has others. `tied` says whether head and embedding share one weight, None where that depends on the
    size. `converted` says that PEFT 0.19 and newer take the names of unstacked experts for the stacked ones
    (peft/utils/transformers_weight_conversion.py at 0.21.2).
    """

    layers: str
    others: str = "embed_tokens"
    head: str = "lm_head"
    tied: bool | None = None
    conv1d: bool = False
    routers: str = ""
    experts: str = ""
    tower: str = ""
    formerly: str = ""
    converted: bool = False


def paths(text: str) -> Iterator[tuple[str, ...]]:
    """The paths that a text of this table stands for, part by part."""
    for word in text.split():
        pieces = [piece.split(",") if at % 2 else [piece] for at, piece in enumerate(_BRACES.split(word))]
        yield from (tuple("".join(chosen).split(".")) for chosen in product(*pieces))


_ATTENTION = "layers.*.self_attn.{q,k,v,o}_proj"
_MLP = "layers.*.mlp.{gate,up,down}_proj"
_LLAMA = f"{_ATTENTION} {_MLP}"
_LATENT = "layers.*.self_attn.{q_proj,q_a_proj,q_b_proj,kv_a_proj_with_mqa,kv_b_proj,o_proj}"
_STACKED = "layers.*.mlp.experts.{gate_up_proj,down_proj}"
_UNSTACKED = "layers.*.mlp.experts.*.{gate,up,down}_proj"
_SHARED = "layers.*.mlp.shared_experts.{gate,up,down}_proj"
_SHARED_ONE = "layers.*.mlp.shared_expert.{gate,up,down}_proj layers.*.mlp.shared_expert_gate"
_DELTA = "layers.*.linear_attn.{in_proj_qkv,in_proj_z,in_proj_b,in_proj_a,out_proj}"
_DELTA_FUSED = "layers.*.linear_attn.{in_proj_qkvz,in_proj_ba,out_proj}"
_DELTA_OTHERS = "embed_tokens layers.*.linear_attn.conv1d"
_GPT2 = "h.*.attn.{c_attn,c_proj} h.*.mlp.{c_fc,c_proj} h.*.crossattention.{q_attn,c_attn,c_proj}"
_FALCON = "h.*.self_attention.{query_key_value,dense} h.*.mlp.{dense_h_to_4h,dense_4h_to_h}"
_CLIP = "encoder.layers.*.self_attn.{q,k,v,out}_proj encoder.layers.*.mlp.{fc1,fc2}"
_CROSS = "to_q,to_k,to_v,to_out.*,add_q_proj,add_k_proj,add_v_proj,to_add_out"
_STREAMS = (
    "transformer_blocks.*.{ff,ff_context}.net.*.proj transformer_blocks.*.{ff,ff_context}.net.* "
    "transformer_blocks.*.{norm1,norm1_context}.linear norm_out.linear proj_out"
)
_EMBEDDERS = "context_embedder time_text_embed.{timestep,guidance,text}_embedder.{linear_1,linear_2}"
_PROJECTOR = "multi_modal_projector.{linear_1,linear_2}"
_QWEN_EYE = "visual.blocks.*.attn.{qkv,proj}"
_QWEN3_EYE = (
    f"{_QWEN_EYE} visual.blocks.*.mlp.{{linear_fc1,linear_fc2}} visual.merger.{{linear_fc1,linear_fc2}} "
    "visual.deepstack_merger_list.*.{linear_fc1,linear_fc2}"
)
_QWEN3_OTHERS = "embed_tokens visual.patch_embed.proj visual.pos_embed"
_PIXTRAL = (
    "vision_tower.transformer.layers.*.attention.{q,k,v,o}_proj "
    "vision_tower.transformer.layers.*.feed_forward.{gate,up,down}_proj"
)
_BERT = (
    "encoder.layer.*.attention.self.{query,key,value} encoder.layer.*.attention.output.dense "
    "encoder.layer.*.intermediate.dense encoder.layer.*.output.dense pooler.dense"
)
_BERT_OTHERS = "embeddings.{word_embeddings,position_embeddings,token_type_embeddings}"
_ROBERTA_HEADS = "lm_head.{dense,decoder} classifier.{dense,out_proj}"
_T5 = "block.*.layer.*.{SelfAttention,EncDecAttention}.{q,k,v,o} block.*.layer.*.DenseReluDense.{wi,wi_0,wi_1,wo}"
_T5_OTHERS = "shared embed_tokens block.*.layer.*.SelfAttention.relative_attention_bias"
_T5_HEADS = "classification_head.{dense,out_proj}"
_BART = "layers.*.{self_attn,encoder_attn}.{q,k,v,out}_proj layers.*.{fc1,fc2}"
_BART_OTHERS = "shared embed_tokens embed_positions"
_INTERNLM2 = "layers.*.attention.{wqkv,wo} layers.*.feed_forward.{w1,w2,w3}"
_VIT_OLD = (
    "encoder.layer.*.attention.attention.{query,key,value} encoder.layer.*.attention.output.dense "
    "encoder.layer.*.intermediate.dense encoder.layer.*.output.dense"
)

_DEEPSEEK = Architecture(
    f"{_LATENT} {_MLP} {_SHARED}",
    tied=False,
    routers="layers.*.mlp.gate",
    experts=_STACKED,
    converted=True,
    formerly=_UNSTACKED,
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture(_LLAMA),
    "mistral": Architecture(_LLAMA, tied=False),
    "mixtral": Architecture(
        _ATTENTION,
        tied=False,
        routers="layers.*.mlp.gate",
        experts=_STACKED,
        converted=True,
        formerly="layers.*.block_sparse_moe.gate layers.*.block_sparse_moe.experts.*.{w1,w2,w3}",
    ),
    "qwen2": Architecture(_LLAMA),
    "qwen2_moe": Architecture(
        f"{_ATTENTION} {_SHARED_ONE}",
        tied=False,
        routers="layers.*.mlp.gate",
        experts=_STACKED,
        formerly=f"{_UNSTACKED} {_MLP}",
    ),
    "qwen3": Architecture(_LLAMA),
    "qwen3_moe": Architecture(
        _ATTENTION,
        tied=False,
        routers="layers.*.mlp.gate",
        experts=_STACKED,
        converted=True,
        formerly=f"{_UNSTACKED} {_MLP}",
    ),
    "qwen3_next": Architecture(
        f"{_ATTENTION} {_DELTA_FUSED} {_SHARED_ONE}",
        _DELTA_OTHERS,
        tied=False,
        routers="layers.*.mlp.gate",
        experts=_STACKED,
        converted=True,
        formerly=f"{_UNSTACKED} {_MLP}",
    ),
    "qwen3_5": Architecture(f"{_LLAMA} {_DELTA}", f"{_DELTA_OTHERS} {_QWEN3_OTHERS}", tower=_QWEN3_EYE),
    "qwen3_5_moe": Architecture(
        f"{_ATTENTION} {_DELTA} {_SHARED_ONE}",
        f"{_DELTA_OTHERS} {_QWEN3_OTHERS}",
        tied=False,
        routers="layers.*.mlp.gate",
        experts=_STACKED,
        tower=_QWEN3_EYE,
    ),
    "qwen2_vl": Architecture(
        _LLAMA,
        "embed_tokens visual.patch_embed.proj",
        tower=f"{_QWEN_EYE} visual.blocks.*.mlp.{{fc1,fc2}} visual.merger.mlp.*",
    ),
    "qwen2_5_vl": Architecture(
        _LLAMA,
        "embed_tokens visual.patch_embed.proj",
        tower=f"{_QWEN_EYE} visual.blocks.*.mlp.{{gate,up,down}}_proj visual.merger.mlp.*",
    ),
    "qwen3_vl": Architecture(_LLAMA, _QWEN3_OTHERS, tower=_QWEN3_EYE),
    "qwen3_vl_moe": Architecture(
        _ATTENTION, _QWEN3_OTHERS, tied=False, routers="layers.*.mlp.gate", experts=_STACKED, tower=_QWEN3_EYE
    ),
    "gemma": Architecture(_LLAMA, tied=True),
    "gemma2": Architecture(_LLAMA, tied=True),
    "gemma3_text": Architecture(_LLAMA, tied=True),
    "gemma3": Architecture(
        _LLAMA,
        "embed_tokens vision_tower.embeddings.{patch_embedding,position_embedding}",
        tied=True,
        tower=f"{_CLIP} head.attention.out_proj head.mlp.{{fc1,fc2}}",
        formerly="vision_model.embeddings.{patch_embedding,position_embedding}",
    ),
    "phi": Architecture("layers.*.self_attn.{q_proj,k_proj,v_proj,dense} layers.*.mlp.{fc1,fc2}", tied=False),
    "phi3": Architecture("layers.*.self_attn.{qkv_proj,o_proj} layers.*.mlp.{gate_up_proj,down_proj}"),
    "gpt2": Architecture(_GPT2, "wte wpe", tied=True, conv1d=True),
    "gpt_bigcode": Architecture(_GPT2, "wte wpe", tied=True),
    "gpt_neo": Architecture("h.*.attn.attention.{q,k,v,out}_proj h.*.mlp.{c_fc,c_proj}", "wte wpe", tied=True),
    "gpt_neox": Architecture(
        "layers.*.attention.{query_key_value,dense} layers.*.mlp.{dense_h_to_4h,dense_4h_to_h}",
        "embed_in",
        tied=False,
        formerly="embed_out",
    ),
    "gptj": Architecture("h.*.attn.{q,k,v,out}_proj h.*.mlp.{fc_in,fc_out}", "wte", tied=False),
    "codegen": Architecture("h.*.attn.{qkv_proj,out_proj} h.*.mlp.{fc_in,fc_out}", "wte", tied=False),
    "opt": Architecture(
        "layers.*.self_attn.{q,k,v,out}_proj layers.*.{fc1,fc2} project_in project_out",
        "embed_tokens embed_positions",
        tied=True,
    ),
    "bloom": Architecture(_FALCON, "word_embeddings", tied=True),
    "falcon": Architecture(_FALCON, "word_embeddings"),
    "mpt": Architecture("blocks.*.attn.{Wqkv,out_proj} blocks.*.ffn.{up_proj,down_proj}", "wte wpe", tied=True),
    "stablelm": Architecture(_LLAMA, tied=False),
    "starcoder2": Architecture("layers.*.self_attn.{q,k,v,o}_proj layers.*.mlp.{c_fc,c_proj}"),
    "cohere": Architecture(_LLAMA, tied=True),
    "cohere2": Architecture(_LLAMA, tied=True),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "llama4": Architecture(
        f"{_ATTENTION} layers.*.feed_forward.shared_expert.{{gate,up,down}}_proj "
        "layers.*.feed_forward.{gate,up,down}_proj",
        # The class for text alone, which is what transformers loads for causal language models, has no tower.
        "embed_tokens vision_model.model.layers.*.mlp.{fc1,fc2} vision_model.vision_adapter.mlp.{fc1,fc2} "
        "vision_model.patch_embedding.linear multi_modal_projector.linear_1",
        tied=False,
        routers="layers.*.feed_forward.router",
        experts="layers.*.feed_forward.experts.{gate_up_proj,down_proj}",
    ),
    "gpt_oss": Architecture(_ATTENTION, tied=False, routers="layers.*.mlp.router", experts=_STACKED),
    "olmo2": Architecture(_LLAMA, tied=False),
    "smollm3": Architecture(_LLAMA, tied=True),
    "granite": Architecture(_LLAMA),
    "internvl": Architecture(
        _LLAMA,
        "embed_tokens embeddings.patch_embeddings.projection",
        tower="encoder.layer.*.attention.{q_proj,k_proj,v_proj,projection_layer} encoder.layer.*.mlp.{fc1,fc2} "
        + _PROJECTOR,
    ),
    "llava": Architecture(
        _LLAMA,
        "embed_tokens vision_tower.embeddings.{patch_embedding,position_embedding}",
        tower=f"{_CLIP} {_PROJECTOR}",
        formerly="vision_model.embeddings.{patch_embedding,position_embedding}",
    ),
    "llava_next": Architecture(
        _LLAMA,
        "embed_tokens vision_tower.embeddings.{patch_embedding,position_embedding}",
        tower=f"{_CLIP} {_PROJECTOR}",
        formerly="vision_model.embeddings.{patch_embedding,position_embedding}",
    ),
    "mllama": Architecture(
        f"{_LLAMA} layers.*.cross_attn.{{q,k,v,o}}_proj",
        "embed_tokens patch_embedding tile_embedding embedding",
        tied=False,
        tower="vision_model.transformer.layers.*.self_attn.{q,k,v,o}_proj "
        "vision_model.transformer.layers.*.mlp.{fc1,fc2} "
        "vision_model.global_transformer.layers.*.self_attn.{q,k,v,o}_proj "
        "vision_model.global_transformer.layers.*.mlp.{fc1,fc2} multi_modal_projector",
    ),
    "mistral3": Architecture(
        _LLAMA,
        "embed_tokens vision_tower.patch_conv",
        tower=f"{_PIXTRAL} multi_modal_projector.patch_merger.merging_layer {_PROJECTOR}",
    ),
    "t5": Architecture(_T5, _T5_OTHERS, formerly=_T5_HEADS),
    "mt5": Architecture(_T5, _T5_OTHERS, formerly=_T5_HEADS),
    "bart": Architecture(_BART, _BART_OTHERS, tied=True, formerly=_T5_HEADS),
    "whisper": Architecture(_BART, "embed_tokens embed_positions conv1 conv2", "proj_out", tied=True),
    "bert": Architecture(
        f"{_BERT} cls.predictions.transform.dense", _BERT_OTHERS, "cls.predictions.decoder", tied=True
    ),
    "roberta": Architecture(f"{_BERT} {_ROBERTA_HEADS}", _BERT_OTHERS, "lm_head.decoder", tied=True),
    "xlm-roberta": Architecture(f"{_BERT} {_ROBERTA_HEADS}", _BERT_OTHERS, "lm_head.decoder", tied=True),
    "distilbert": Architecture(
        "layer.*.attention.{q,k,v,out}_lin layer.*.ffn.{lin1,lin2} pre_classifier vocab_transform",
        "embeddings.{word_embeddings,position_embeddings}",
        "vocab_projector",
        tied=True,
    ),
    "deberta-v2": Architecture(
        "encoder.layer.*.attention.self.{query_proj,key_proj,value_proj,pos_key_proj,pos_query_proj} "
        "encoder.layer.*.attention.output.dense encoder.layer.*.intermediate.dense encoder.layer.*.output.dense "
        "pooler.dense",
        "embeddings.{word_embeddings,position_embeddings,token_type_embeddings} encoder.rel_embeddings",
        tied=True,
        formerly="embeddings.embed_proj encoder.conv.conv",
    ),
    "vit": Architecture(
        "layers.*.attention.{q,k,v,o}_proj layers.*.mlp.{fc1,fc2}",
        "embeddings.patch_embeddings.projection",
        "classifier",
        tied=False,
        formerly=f"{_VIT_OLD} pooler.dense",
    ),
    "dinov2": Architecture(
        "encoder.layer.*.attention.{q,k,v,o}_proj encoder.layer.*.mlp.{fc1,fc2,weights_in,weights_out}",
        "embeddings.patch_embeddings.projection",
        "classifier",
        tied=False,
        formerly=_VIT_OLD,
    ),
    "baichuan": Architecture(f"layers.*.self_attn.{{W_pack,o_proj}} {_MLP}", tied=False),
    "chatglm": Architecture(
        "layers.*.self_attention.{query_key_value,dense} layers.*.mlp.{dense_h_to_4h,dense_4h_to_h}",
        "embedding.word_embeddings word_embeddings",
        "output_layer",
        tied=False,
        formerly="layers.*.attention.{query_key_value,dense} lm_head",
    ),
    "internlm2": Architecture(_INTERNLM2, "tok_embeddings", "output", tied=False),
    # By class: diffusers/models/unets and models/transformers at 58eb52c0, and transformers' text encoders for them.
    "UNet2DConditionModel": Architecture(
        f"attentions.*.{{{_CROSS}}} attentions.*.transformer_blocks.*.{{attn1,attn2}}.{{{_CROSS}}} "
        "attentions.*.transformer_blocks.*.ff.net.*.proj attentions.*.transformer_blocks.*.ff.net.* "
        "attentions.*.{proj_in,proj_out} resnets.*.time_emb_proj {time,add,class}_embedding.{linear_1,linear_2} "
        "encoder_hid_proj.{image_embeds,text_proj,image_proj}",
        "conv_in conv_out resnets.*.{conv1,conv2,conv_shortcut} {downsamplers,upsamplers}.*.conv class_embedding",
        "",
        # LoRA layers of diffusers before PEFT, and its attention before 0.14.
        formerly="attentions.*.{query,key,value,proj_attn} encoder_hid_proj add_embedding",
    ),
    "FluxTransformer2DModel": Architecture(
        f"transformer_blocks.*.attn.{{{_CROSS}}} single_transformer_blocks.*.attn.{{to_q,to_k,to_v}} {_STREAMS} "
        f"single_transformer_blocks.*.{{proj_mlp,proj_out,norm.linear}} x_embedder {_EMBEDDERS}",
        "",
        "",
    ),
    "SD3Transformer2DModel": Architecture(
        f"transformer_blocks.*.{{attn,attn2}}.{{{_CROSS}}} {_STREAMS} {_EMBEDDERS}", "pos_embed.proj", ""
    ),
    "CLIPTextModel": Architecture(_CLIP, "embeddings.{token_embedding,position_embedding}", ""),
    "CLIPTextModelWithProjection": Architecture(
        f"{_CLIP} text_projection", "embeddings.{token_embedding,position_embedding}", ""
    ),
    "torchtune": Architecture("layers.*.attn.{q_proj,k_proj,v_proj,output_proj}"),
    "megatron": Architecture(
        "decoder.layers.*.self_attention.{linear_qkv,linear_proj,linear_q,linear_k,linear_v,linear_q_proj} "
        "decoder.layers.*.self_attention.linear_{q,kv}_{down,up}_proj "
        "decoder.layers.*.mlp.{linear_fc1,linear_fc2,linear_fc1_up,linear_fc1_gate}",
        "word_embeddings",
        "output_layer",
        routers="decoder.layers.*.mlp.router",
    ),
    "qwen": Architecture("h.*.attn.{c_attn,c_proj} h.*.mlp.{w1,w2,c_proj}", "wte", tied=False),
}

CLASSES = frozenset(
    (
        *("UNet2DConditionModel", "FluxTransformer2DModel", "SD3Transformer2DModel"),
        *("CLIPTextModel", "CLIPTextModelWithProjection"),
    )
)
"""The entries that are named by their class."""
