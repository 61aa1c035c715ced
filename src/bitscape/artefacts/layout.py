"""Names and version of what stands in an artefact folder."""

FORMAT_VERSION = 1

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.safetensors"
RECIPE = "recipe.yaml"
REPORT = "report.json"
# A folder, for models that read prompts: their words.
VOCABULARY = "vocabulary"

# Every file whose sha256 the report holds; the report itself carries a digest of its own contents.
HASHED = (CONFIG, WEIGHTS, TOKENIZER, RECIPE)
