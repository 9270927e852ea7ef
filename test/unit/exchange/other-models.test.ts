import { describe, expect, it } from 'vitest';
import { factsOf, refusalOf } from './requests.ts';

const messages = [{ role: 'user', content: 'x' }];
const chat = { model: 'm', messages };
const converse = { messages: [{ role: 'user', content: [{ text: 'x' }] }] };
const contents = [{ parts: [{ text: 'x' }] }];
const GEMINI = '/v1beta/models/m:generateContent';

describe('a field by which another model would answer is refused', () => {
  it.each<[string, unknown, string]>([
    ['/v1/chat/completions', { ...chat, models: ['other'] }, 'models'],
    ['/v1/chat/completions', { ...chat, fallbacks: ['other'] }, 'fallbacks'],
    ['/v1/chat/completions', { ...chat, route: 'fallback' }, 'route'],
    ['/v1/chat/completions', { ...chat, lora_path: 'other' }, 'lora_path'],
    ['/v1/chat/completions', { ...chat, lora_request: { lora_name: 'other' } }, 'lora_request'],
    ['/v1/chat/completions', { ...chat, adapter_id: 'other' }, 'adapter_id'],
    ['/v1/chat/completions', { ...chat, api_base: 'http://other.example' }, 'api_base'],
    ['/v1/chat/completions', { ...chat, extra_body: { model: 'other' } }, 'extra_body.model'],
    ['/v1/completions', { model: 'm', prompt: 'x', lora_path: 'other' }, 'lora_path'],
    ['/v1/embeddings', { model: 'm', input: 'x', adapter_id: 'other' }, 'adapter_id'],
    ['/v1/responses', { model: 'm', input: 'x', models: ['other'] }, 'models'],
    ['/v1/responses', { model: 'm', input: 'x', tools: [{ type: 'x', model: 'other' }] }, 'tools[0].model'],
    ['/v1/messages', { ...chat, max_tokens: 1, fallbacks: [{ model: 'other' }] }, 'fallbacks'],
    ['/v1/messages', { ...chat, max_tokens: 1, tools: [{ type: 'x', model: 'other' }] }, 'tools[0].model'],
    ['/generate', { inputs: 'x', parameters: { adapter_id: 'other' } }, 'parameters.adapter_id'],
    ['/generate', { inputs: 'x', adapter_id: 'other' }, 'adapter_id'],
    ['/model/m/converse', { ...converse, modelId: 'other' }, 'modelId'],
    [
      '/model/m/converse',
      { ...converse, additionalModelRequestFields: { model: 'other' } },
      'additionalModelRequestFields.model',
    ],
    ['/api/chat', { ...chat, fallbacks: ['other'] }, 'fallbacks'],
    [GEMINI, { contents, fallbacks: ['other'] }, 'fallbacks'],
    [GEMINI, { contents, generationConfig: { routingConfig: {} } }, 'generationConfig.routingConfig'],
    [GEMINI, { contents, generationConfig: { routing_config: {} } }, 'generationConfig.routing_config'],
  ])('%s %j', async (path, body, field) => {
    expect(await refusalOf(path, body)).toBe(
      `invalid_request: Unsupported parameter: '${field}'. It names another model than the one that is asked.`,
    );
  });

  it('also in another case, which lenient servers take for it', async () => {
    expect(await refusalOf('/v1/chat/completions', { ...chat, Models: ['other'] })).toMatch(/^invalid_request: /);
  });

  it.each<[string, unknown]>([
    ['/v1/chat/completions', { ...chat, models: null, lora_path: null }],
    ['/v1/responses', { model: 'm', input: 'x', tools: [{ type: 'image_generation', model: 'gpt-image-1' }] }],
  ])('not where it names none, or the model of a hosted tool: %s %j', async (path, body) => {
    expect((await factsOf(path, body)).model).toBe('m');
  });
});
