#include "train_options.h"

namespace higgs {

FlagTable TrainOptions::table() {
  FlagTable t;
  t.section("Data and result");
  t.add("train_manifest", train_manifest, "JSONL ChatML, one sample a line").require();
  t.add("output_dir", output_dir, "folder of the run: checkpoints, adapter, metrics").require();
  t.section("Base, codec and device");
  base.describe(t);
  t.section("Validation");
  t.add("val_manifest", val_manifest, "held-out samples; default: a part of the training samples");
  t.add("val_split", val_split, "that part; 0: no validation").range(0.0, 0.5);
  t.section("Steps");
  t.add("batch_size", trainer.batch_size, "samples per micro-batch").range(1, 1e6);
  t.add("tokens_per_batch", trainer.tokens_per_batch,
        "tokens per micro-batch, audio frames included, instead of batch_size samples; 0: as batch_size says")
      .range(0, 1e9);
  t.add("grad_accum", trainer.grad_accum, "micro-batches per optimizer step").range(1, 1e6);
  t.add("epochs", trainer.epochs, "passes over the training samples").range(0.0, 1e6);
  t.add("max_steps", trainer.max_steps, "optimizer steps, instead of epochs; 0: as epochs say").range(0, 1e9);
  t.add("lr", trainer.learning_rate, "highest learning rate").range(0.0);
  t.add("warmup", trainer.warmup,
        "steps until it is reached, or below 1 a share of all steps; then as lr_schedule says")
      .range(0.0);
  t.add("lr_schedule", lr_schedule, "from there on: half a cosine to zero, a line to zero, or no change")
      .choose({"cosine", "linear", "constant"});
  t.add(
      "lr_pattern", lr_pattern,
      "factors of lr for groups of linear maps: audio_mlp=2,self_attn.q_proj=0.5; groups are self_attn, mlp "
      "and audio_mlp, and modules_to_save by their names");
  t.add("loraplus_ratio", trainer.lora_plus, "LoRA+: the learning rate of B is so many times that of A")
      .range(1e-3, 1e3);
  t.add("wd", trainer.adamw.weight_decay, "AdamW's weight decay").range(0.0);
  t.add("max_grad_norm", trainer.max_grad_norm, "gradients are scaled down to this 2-norm; 0: never")
      .range(0.0);
  t.section("Steps that go wrong");
  t.add("on_nonfinite", on_nonfinite,
        "a step with a loss or gradient that is not finite is left out, or ends the run; its samples are "
        "written to output_dir/skipped; ten in a row end it in any case")
      .choose({"skip", "stop"});
  t.add("spike_guard", trainer.spike_guard,
        "a step is left out whose gradient norm is so many times the mean of those before; 0: never")
      .range(0.0);
  t.add("leak_alarm", trainer.leak_alarm,
        "audio loss, nats a code on clips never trained on, below which the run ends: the model must be "
        "seeing what it is to predict; 0: never")
      .range(0.0);
  t.section("Adapter");
  t.add("lora_r", lora.r, "rank of the adapter").range(1, 4096);
  t.add("rank_pattern", rank_pattern,
        "other ranks for groups of linear maps, as lr_pattern names them; 0: no adapter there");
  t.add("modules_to_save", modules_to_save,
        "modules trained whole beside that and saved with it: audio_lm_head, embed_audio_tokens (the "
        "codebooks' embeddings), text_lm_head");
  t.add("init_adapter", init_adapter,
        "PEFT folder to start from instead of a new adapter: its modules, ranks and method are taken over");
  t.add("lora_alpha", lora.alpha, "its scale is alpha / r").range(0.0, 1e6);
  t.add("use_rslora", lora.use_rslora, "its scale is alpha / sqrt(r) instead");
  t.add("use_dora", lora.use_dora, "DoRA: each output's magnitude is learned apart from its direction");
  t.add("lora_dropout", lora.dropout, "share of each module's inputs dropped").range(0.0, 0.99);
  t.section("Losses");
  t.add("text_weight", trainer.objective.text_weight, "of the text loss").range(0.0).follow_checkpoint();
  t.add("audio_weight", trainer.objective.audio_weight, "of the audio loss").range(0.0);
  t.add("codebook_reduction", codebook_reduction, "of the codebooks' losses").choose({"mean", "sum"});
  t.add("codebook_weights", codebook_weights,
        "what each counts for in it, one number a codebook: 2,1,1,1,1,1,1,1; default: all the same");
  t.section("Replay of what the base does");
  t.add("replay_share", trainer.replay.share,
        "so many of all samples are drawn beside the training samples to hold the adapted model to the base "
        "there (KL divergence) instead of to their labels; 0: none")
      .range(0.0, 0.5);
  t.add("replay_weight", trainer.replay.weight, "of the mean divergence, beside the loss").range(0.0);
  t.add(
      "replay_manifest", replay_manifest,
      "samples to be replayed: what the base must go on handling as it does; default: the training samples");
  t.section("Samples");
  t.add("max_tokens", max_tokens, "longest sample, audio frames included; samples are never cut").range(16);
  t.add("on_too_long", on_too_long, "what a longer sample does").choose({"error", "skip"});
  t.add("skip_bad_samples", skip_bad_samples, "leave out lines that can't be used instead of stopping");
  t.add("balance", balance,
        "each speaker, or language, that the manifest names is drawn equally often: samples of small groups "
        "come several times per epoch, some of large ones not in each")
      .choose({"none", "speaker", "language"});
  t.add("num_workers", num_workers,
        "threads that load batches ahead; 0: the CPUs this process may use, shared with its neighbours, at "
        "most 16")
      .range(0, 256);
  t.add("seed", seed, "of shuffling, dropout and the adapter's first values").range(0);
  t.section("Log, validation, checkpoints");
  t.add("log_steps", trainer.log_steps,
        "steps between lines in a log; a terminal shows each step in one live line")
      .range(1);
  t.add("val_steps", trainer.val_steps, "steps between validations; 0: at start and end").range(0);
  t.add("early_stopping", trainer.early_stopping,
        "the run ends after so many validations in a row with no lower loss (audio), and its result is the "
        "best "
        "checkpoint's adapter; 0: never")
      .range(0, 1e6);
  t.add("auditions", auditions,
        "held-out prompts that are spoken at each validation, for report.html and TensorBoard; 0: none")
      .range(0, 64);
  t.add("audition_texts", audition_texts, "file with one text a line, spoken then as well");
  t.add("save_steps", trainer.save_steps,
        "steps between checkpoints; 0: as save_minutes says, and at the end")
      .range(0);
  t.add("save_minutes", trainer.save_minutes,
        "minutes after which a checkpoint is saved, whatever save_steps says; 0: never by time")
      .range(0.0);
  t.add("keep_last", trainer.keep_last, "checkpoints kept; 0: all").range(0);
  t.add("keep_best", trainer.keep_best,
        "checkpoints kept beside them: those with the lowest validation loss (audio); each validation better "
        "than all before is saved then")
      .range(0);
  t.add("on_save_error", on_save_error,
        "a checkpoint that can't be written (a full disk) ends the run, or is warned of; older ones stay")
      .choose({"stop", "continue"});
  t.section("Going on");
  t.add("resume", resume,
        "auto: from the newest whole checkpoint in output_dir; none; or a checkpoint folder");
  t.add("overwrite", overwrite, "start anew in an output_dir that holds a run");
  t.section("Computation and ranks");
  t.add("self_test", self_test,
        "before the first step, compare generation's logits with training's; stop where they differ")
      .choose({"on", "off"});
  t.add("reference_path", reference_path,
        "compute layers and losses as plain compositions of LibTorch's operators: slower, the same within "
        "rounding");
  t.add("gradient_checkpointing", gradient_checkpointing,
        "keep only each layer's input and compute the layer again in the backward pass: less memory, more "
        "time");
  t.add("comm_timeout", comm_timeout,
        "seconds without progress of a rank that others wait for, until the job ends; also the time to join")
      .range(1);
  t.add("replica_check_steps", trainer.replica_check_steps,
        "steps between comparisons of the ranks' adapters, bit by bit; 0: never")
      .range(0);
  t.section("Settings and help");
  t.add("config", config, "TOML file with these settings; flags beat it");
  t.add("print_config", print_config, "print the settings as TOML and end");
  return t;
}

}  // namespace higgs
