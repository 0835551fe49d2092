"""The vocabulary: a byte-level BPE tokenizer learned from captions, for small text towers."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PAD_TOKEN = "<pad>"  # id 0
END_TOKEN = "<end>"  # id 1; its position is where the text tower is read


def learn_vocabulary(texts: Iterable[str], *, size: int, context_length: int) -> Tokenizer:
    """Learn a tokenizer that turns any string into `context_length` ids: the text, END_TOKEN, padding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD_TOKEN, END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END_TOKEN}", special_tokens=[(END_TOKEN, tokenizer.token_to_id(END_TOKEN))]
    )
    tokenizer.enable_truncation(context_length)
    tokenizer.enable_padding(
        length=context_length, pad_id=tokenizer.token_to_id(PAD_TOKEN), pad_token=PAD_TOKEN
    )
    return tokenizer
