import type { Detector } from '../detector.ts';
import { alnum, gitleaks, hashWords, hex, near, opener, token } from './make.ts';
import { isRandom } from './values.ts';

/** Keys to AI models and what is around them. */
export const ai: readonly Detector[] = [
  opener(
    'anthropic_admin_api_key',
    String.raw`\bsk-ant-admin\d\d-[\w\-]{80}`,
    { body: String.raw`[\w\-]` },
    'Anthropic admin API keys.',
    ['sk-ant-admin01-ztYgjmUhBel31iEl2hpChYgCfrL1spNxnyVmihA-2O76UMFxFkM-R5Kjp1vRt_1fjORS-6ilI8ihN5KXSc7Tvo-hBKqF6AA'],
    `Anthropic docs, "Admin API"; ${gitleaks}`,
  ),
  opener(
    'anthropic_api_key',
    String.raw`\bsk-ant-(?:api|sid|oat|ort)\d\d-[\w\-]{80}`,
    { body: String.raw`[\w\-]` },
    'Anthropic API keys, session keys and OAuth tokens.',
    [
      'sk-ant-api03-Vkv5ZJr3J1TWDtkwtDDb_xHKas1VOqg6YYZYn9ZhyiA4uoRgnatmUdjAWtGSU8po_799NksnRH9ucAUsdMlHUvTCQCyEZAA',
      'sk-ant-oat01-Wz-TddJ8HyS5SUkCnD8zRA9a9SkpXz9w3QlY7Zkuvqdt7s8Stqcbnr3yBdGBLEPH1qhT61qtc4xatws8phP9nhFyJfm55AA',
    ],
    `Anthropic docs, "API overview"; ${gitleaks}`,
  ),
  near(
    'cohere_api_token',
    alnum(40),
    ['cohere', 'co api key'],
    'Cohere API keys.',
    ['6eCuNGMGmSrCGIZEG8pSH4487q7J58m1CiAhzCue'],
    `Cohere docs, "API keys"; ${gitleaks}`,
  ),
  token(
    'huggingface_access_token',
    String.raw`\bhf_[A-Za-z0-9]{34,40}\b`,
    'Hugging Face user access tokens.',
    ['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', 'hf_mwufUxbvJDCTbyvHNsG9eh6Yo4gfqrc5XlrWi'],
    `Hugging Face docs, "User access tokens"; ${gitleaks}`,
  ),
  token(
    'huggingface_organization_api_token',
    String.raw`\bapi_org_[A-Za-z0-9]{34,40}\b`,
    'Hugging Face organisation API tokens (deprecated, still in use).',
    ['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'],
    `Hugging Face docs, "Security"; ${gitleaks}`,
  ),
  token(
    'perplexity_api_key',
    String.raw`\bpplx-[A-Za-z0-9]{48,64}\b`,
    'Perplexity API keys.',
    [
      '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',
      'pplx-Q0PBQFI14zGtSnovm14TUOizwd1iaeOV4qBkdfQ1y3GQsMpSscDlkrCa',
    ],
    `Perplexity docs, "API key management"; ${gitleaks}`,
  ),
  token(
    'groq_api_key',
    String.raw`\bgsk_[A-Za-z0-9]{48,60}\b`,
    'Groq API keys.',
    ['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'],
    'Groq docs, "Quickstart"',
  ),
  token(
    'replicate_api_token',
    String.raw`\br8_[A-Za-z0-9]{37,42}\b`,
    'Replicate API tokens.',
    ['r8_4MyWuUFjsUNPjc01T5GOBUSZGi6HWGK10Zb0R'],
    'Replicate docs, "API tokens"',
  ),
  token(
    'xai_api_key',
    String.raw`\bxai-[A-Za-z0-9]{70,90}\b`,
    'xAI API keys.',
    ['xai-StNKiaEdFrRgSnRFsTHsDDDXh5Jmtf7EbsDe0G9Cryn687neLfjVHq8xiM0OGr4hTxoF54Fzbka8FRCz'],
    'xAI docs, "API reference"',
  ),
  token(
    'openrouter_api_key',
    String.raw`\bsk-or-v1-[a-f0-9]{64}\b`,
    'OpenRouter API keys.',
    ['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'],
    'OpenRouter docs, "Authentication"',
  ),
  near(
    'deepseek_api_key',
    String.raw`\bsk-[a-f0-9]{32}\b`,
    ['deepseek', 'deep seek'],
    'DeepSeek API keys.',
    ['sk-5526f7eaed46725a2a7b860dcd6c8a1f'],
    'DeepSeek API docs, "Your first API call"',
  ),
  near(
    'mistral_api_key',
    alnum(32),
    ['mistral', 'mistralai'],
    'Mistral API keys.',
    ['rK9xiRGHOY32nfr5pyzPCB9t2039bicB'],
    'Mistral docs, "Quickstart"',
  ),
  token(
    'nvidia_api_key',
    String.raw`\bnvapi-[\w\-]{63,67}\w\b|\bnvapi-[\w\-]{63,67}-\B`,
    'NVIDIA API catalogue keys.',
    ['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'],
    'NVIDIA NIM docs, "Get an API key"',
  ),
  token(
    'langsmith_api_key',
    String.raw`\blsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}\b`,
    'LangSmith personal and service keys.',
    ['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'],
    'LangSmith docs, "Create an account and API key"',
  ),
  token(
    'cerebras_api_key',
    String.raw`\bcsk-[a-z0-9]{48}\b`,
    'Cerebras API keys.',
    ['csk-v2kgafrfw0h9nywt1fd4mx82mux4b0pzcyc3edqmevxrvcqu'],
    'Cerebras Inference docs, "Quickstart"',
  ),
  token(
    'pinecone_api_key',
    String.raw`\bpcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{60,66}\b`,
    'Pinecone API keys.',
    ['pcsk_aE40o_1C6xc4sohdmM0Lm7exG3lCMqXXQ8agOMTNwncxvjcnqcMUP6n0a0uARxlNtencY'],
    'Pinecone docs, "Manage API keys"',
  ),
  token(
    'tavily_api_key',
    String.raw`\btvly-(?:dev-|prod-)?[A-Za-z0-9]{32}\b`,
    'Tavily API keys.',
    ['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', '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'],
    'Tavily docs, "Quickstart"',
  ),
  token(
    'elevenlabs_api_key',
    String.raw`\bsk_[a-f0-9]{48}\b`,
    'ElevenLabs API keys.',
    ['sk_4c2b54b95523cf6941fa1c257c6f561c5cb347611a3ce9d9'],
    'ElevenLabs docs, "Authentication"',
    {
      // The older ones have no prefix.
      also: [
        {
          pattern: hex(32),
          ignoreCase: true,
          validate: isRandom,
          context: { words: ['eleven labs', 'xi api key'], within: 60 },
          unless: hashWords,
        },
      ],
    },
  ),
  near(
    'privateai_api_token',
    alnum(32),
    ['private ai', 'privateai'],
    'Private AI API tokens.',
    ['p1yx262lba53p23l4zgeiw1xf266ccif'],
    `Private AI docs, "Getting started"; ${gitleaks}`,
  ),
];
